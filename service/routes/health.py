"""Is this worker alive, and can it answer?"""

from typing import Any

from fastapi import APIRouter

from service.dependencies import WorkerParts
from service.stores.base import StoreUnavailableError

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/ready")
async def ready(its: WorkerParts) -> dict[str, Any]:
    """503 without a bundle. A store that is away leaves the service ready: it answers from raw histories."""
    engine = its.registry.engine()
    try:
        await its.store.ping()
        store = "ok"
    except StoreUnavailableError:
        store = "unavailable"
    return {
        "status": "ready",
        "bundle_id": engine.bundle_id,
        "store": store,
        "control_version": its.control.current.version,
    }
