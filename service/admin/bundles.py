"""Which bundles there are, and which one every worker serves."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.admin.parts import AdminParts, Its, change
from service.bundle.files import BundleError, find_bundles, read_manifest
from service.control import Control, Side
from service.error_answers import documented
from service.errors import BundleRefusedError, ConflictError, StoreDownError, UnknownBundleError
from service.fields import Number

log = logging.getLogger("intently")
router = APIRouter(prefix="/admin/bundles", tags=["bundles"])
CHECK_SECONDS = 120
DECIDING = documented(ConflictError, StoreDownError)
CHOOSING = documented(UnknownBundleError, BundleRefusedError, ConflictError, StoreDownError)
PRIORITY = 5  # of the process that checks: the workers come first


class Share(BaseModel):
    """How much of the traffic takes part in a trial."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    share: Number = Field(gt=0, le=1)


class BundleFacts(BaseModel):
    """What a bundle's manifest says, or what is wrong with it."""

    bundle_id: str
    active: bool = False
    problem: str | None = None
    method: str | None = None
    created: str | None = Field(default=None, description="RFC 3339, UTC")
    items: int | None = None
    intents: int | None = None
    metrics: dict[str, float] | None = Field(default=None, description="of the test split")
    meaning: str | None = Field(default=None, description="what the intent weights are")
    intent_report: dict[str, float] | None = None
    intent_warnings: list[str] | None = Field(default=None, description="what the gate before publishing found wrong")
    training_users: int | None = None
    training_interactions: int | None = None
    parent: str | None = Field(default=None, description="the bundle this one was made of")


class BundlesAnswer(BaseModel):
    """Every bundle, the newest first, and what was decided."""

    bundles: list[BundleFacts]
    control: Control


@router.get("", response_model_exclude_none=True)
async def bundles(its: Its) -> BundlesAnswer:
    """Every bundle, the newest first, and the control state."""
    decided = await its.control.poll()
    found = await asyncio.to_thread(_described, its.bundles, decided)
    return BundlesAnswer(bundles=found, control=decided)


@router.post("/rollback", responses=DECIDING)
async def roll_back(its: Its) -> Control:
    """What was active before is active again."""
    return await _decide(its, lambda control: control.rolled_back())


@router.post("/newest", responses=DECIDING)
async def follow_newest(its: Its) -> Control:
    """Nothing is decided any more: the newest sound bundle is served."""
    return await _decide(its, lambda control: control.following_newest())


@router.post("/{bundle_id}/activate", responses=CHOOSING)
async def activate(bundle_id: str, its: Its) -> Control:
    """Every worker serves this bundle, once it has proven sound."""
    served = await asyncio.to_thread(checked, its.bundles, bundle_id)
    return await _decide(its, lambda control: control.activated(bundle_id, served))


@router.post("/{bundle_id}/{kind}", responses=CHOOSING)
async def try_out(bundle_id: str, kind: Literal["canary", "shadow"], wanted: Share, its: Its) -> Control:
    """As canary it answers a share of the users, as shadow it is asked a share of the requests and answers nobody."""
    await asyncio.to_thread(checked, its.bundles, bundle_id)
    side = Side(bundle_id=bundle_id, share=wanted.share)
    return await _decide(its, lambda control: control.trying(kind, side))


@router.delete("/canary", responses=DECIDING)
async def stop_canary(its: Its) -> Control:
    """Every user gets the active bundle again."""
    return await _decide(its, lambda control: control.trying("canary", None))


@router.delete("/shadow", responses=DECIDING)
async def stop_shadow(its: Its) -> Control:
    """Nothing is compared any more."""
    return await _decide(its, lambda control: control.trying("shadow", None))


async def _decide(its: AdminParts, decide: Callable[[Control], Control]) -> Control:
    decided = await change(its.control, decide)
    active = decided.active or "the newest"
    log.info("control %d: active %s, canary %s, shadow %s", decided.version, active, decided.canary, decided.shadow)
    return decided


def checked(source: Path, bundle_id: str) -> str | None:
    """Load the bundle as a worker would -> the id of the newest one, which is served without a decision.

    In a process of its own: whatever a model does to it, the supervisor lives on. Raises UnknownBundleError,
    BundleRefusedError.
    """
    found = {path.resolve().name: path for path in find_bundles(source)}
    if bundle_id not in found:
        raise UnknownBundleError(bundle_id, ", ".join(found) or "none")
    command = [sys.executable, "-m", "service.cli", "check", str(found[bundle_id])]
    check = subprocess.Popen(  # noqa: S603  # our own program, on a directory that was found
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, check.pid, PRIORITY)
    try:
        _, said = check.communicate(timeout=CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        check.kill()
        check.communicate()
        raise BundleRefusedError(f"{bundle_id}: the check took longer than {CHECK_SECONDS} s") from None
    if check.returncode:
        raise BundleRefusedError(said.strip() or f"{bundle_id}: the check ended with {check.returncode}")
    return next(iter(found))


def _described(source: Path, control: Control) -> list[BundleFacts]:
    """Every bundle, the newest first: what its manifest says, or what is wrong with it."""
    described: list[BundleFacts] = []
    for path in find_bundles(source):
        bundle_id = path.resolve().name
        try:
            manifest = read_manifest(path)
        except BundleError as error:
            described.append(BundleFacts(bundle_id=bundle_id, problem=str(error)))
            continue
        facts = BundleFacts(
            bundle_id=bundle_id,
            active=bundle_id == control.active,
            method=manifest.method,
            created=manifest.created,
            items=manifest.items,
            intents=manifest.intents.count,
            metrics=manifest.metrics.get("test", {}),
            meaning=manifest.intents.meaning,
            intent_report=manifest.intent_report,
            intent_warnings=manifest.intent_warnings,
            training_users=manifest.training_users,
            training_interactions=manifest.training_interactions,
            parent=manifest.parent,
        )
        described.append(facts)
    sound = (one for one in described if one.problem is None)
    if control.active is None and (newest := next(sound, None)) is not None:
        newest.active = True
    return described
