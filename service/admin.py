"""The second port: metrics of all workers, and which bundles there are."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response

from service.bundle.files import find_bundles


def create_admin_app(source: Path, metrics_directory: str) -> FastAPI:
    """`source`: the bundle or bundle root being served."""
    app = FastAPI(title="Intently admin", docs_url=None, redoc_url=None)

    @app.get("/metrics")
    def metrics() -> Response:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=metrics_directory)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/admin/bundles")
    def bundles() -> dict[str, Any]:
        return {"bundles": [path.resolve().name for path in find_bundles(source)]}

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    return app
