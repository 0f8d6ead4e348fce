"""The second port: metrics of all workers, and which bundle they serve."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response

from service.bundle.files import BundleError, find_bundles, read_manifest
from service.control import Control, ControlState
from service.error_answers import add_error_handlers
from service.errors import BundleRefusedError, StoreDownError, UnknownBundleError
from service.settings import Settings
from service.stores.base import StoreUnavailableError
from service.stores.opening import open_store

log = logging.getLogger("intently")
CHECK_SECONDS = 120


def create_admin_app(settings: Settings, metrics_directory: str) -> FastAPI:
    """The supervisor's application."""
    app = FastAPI(title="Intently admin", docs_url=None, redoc_url=None, lifespan=lambda app: _lifespan(app, settings))
    add_error_handlers(app)

    @app.get("/metrics")
    def metrics() -> Response:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=metrics_directory)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/admin/bundles")
    async def bundles() -> dict[str, Any]:
        control: ControlState = app.state.control
        decided = await control.poll()
        found = await asyncio.to_thread(_described, settings.bundle, decided)
        return {"bundles": found, "control": decided.model_dump()}

    @app.post("/admin/bundles/rollback")
    async def roll_back() -> dict[str, Any]:
        return await _decide(app, lambda control: control.rolled_back())

    @app.post("/admin/bundles/newest")
    async def follow_newest() -> dict[str, Any]:
        return await _decide(app, lambda control: control.following_newest())

    @app.post("/admin/bundles/{bundle_id}/activate")
    async def activate(bundle_id: str) -> dict[str, Any]:
        served = await asyncio.to_thread(_checked, settings.bundle, bundle_id)
        return await _decide(app, lambda control: control.activated(bundle_id, served))

    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    store = open_store(settings.store, stored_events=settings.stored_events, timeout=settings.store_timeout)
    app.state.control = ControlState(store)
    yield
    await store.close()


async def _decide(app: FastAPI, decide: Callable[[Control], Control]) -> dict[str, Any]:
    control: ControlState = app.state.control
    try:
        decided = await control.change(decide)
    except StoreUnavailableError as error:
        raise StoreDownError("the store does not answer; nothing was changed, try again") from error
    log.info("control state %d: active bundle %s", decided.version, decided.active or "the newest")
    return decided.model_dump()


def _checked(source: Path, bundle_id: str) -> str | None:
    """Load the bundle as a worker would -> the id of the newest one, which is served without a decision.

    In a process of its own: whatever a model does to it, the supervisor lives on. Raises UnknownBundleError,
    BundleRefusedError.
    """
    found = {path.resolve().name: path for path in find_bundles(source)}
    if bundle_id not in found:
        raise UnknownBundleError(bundle_id, ", ".join(found) or "none")
    command = [sys.executable, "-m", "service.cli", "check", str(found[bundle_id])]
    check = subprocess.run(  # noqa: S603  # our own program, on a directory that was found
        command, capture_output=True, text=True, check=False, timeout=CHECK_SECONDS
    )
    if check.returncode:
        raise BundleRefusedError(check.stderr.strip() or f"{bundle_id}: the check ended with {check.returncode}")
    return next(iter(found))


def _described(source: Path, control: Control) -> list[dict[str, Any]]:
    """Every bundle, the newest first: what its manifest says, or what is wrong with it."""
    described: list[dict[str, Any]] = []
    for path in find_bundles(source):
        bundle_id = path.resolve().name
        try:
            manifest = read_manifest(path)
        except (BundleError, OSError) as error:
            described.append({"bundle_id": bundle_id, "active": False, "problem": str(error)})
            continue
        facts = {"method": manifest.method, "created": manifest.created, "items": manifest.items}
        metrics = {"intents": manifest.intents.count, "metrics": manifest.metrics.get("test", {})}
        described.append({"bundle_id": bundle_id, "active": bundle_id == control.active, **facts, **metrics})
    if control.active is None:
        for entry in described:
            if "problem" not in entry:
                entry["active"] = True
                break
    return described
