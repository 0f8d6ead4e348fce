"""Is this worker alive, and can it answer?"""

from fastapi import APIRouter

from service.dependencies import WorkerParts
from service.error_answers import documented
from service.errors import NotReadyError
from service.schemas import LiveAnswer, ReadyAnswer
from service.stores.base import StoreUnavailableError

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> LiveAnswer:
    """The process answers."""
    return LiveAnswer()


@router.get("/ready", responses=documented(NotReadyError))
async def ready(its: WorkerParts) -> ReadyAnswer:
    """503 without a bundle. A store that is away leaves the service ready: it answers from raw histories."""
    engine, version = its.registry.engine(), its.control.current.version
    try:
        await its.store.ping()
    except StoreUnavailableError:
        return ReadyAnswer(bundle_id=engine.bundle_id, store="unavailable", control_version=version)
    return ReadyAnswer(bundle_id=engine.bundle_id, store="ok", control_version=version)
