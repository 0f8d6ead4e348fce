"""Interactions as they happen."""

from fastapi import APIRouter

from service.dependencies import WorkerParts
from service.errors import StoreDownError
from service.schemas import EventResult, EventsRequest
from service.stores.base import StoreUnavailableError
from service.telemetry import STORE_ERRORS

router = APIRouter(tags=["events"])


@router.post("/v1/events", response_model_exclude_none=True)
async def post_events(request: EventsRequest, its: WorkerParts) -> dict[str, list[EventResult]]:
    """One result an event, in order. Send the whole batch again after a 503: repeated events change nothing."""
    engine = its.registry.engine() if its.registry.ready else None
    try:
        return {"results": await its.intake.receive(request.events, engine)}
    except StoreUnavailableError as error:
        STORE_ERRORS.labels("append").inc()
        raise StoreDownError("the store does not answer; send the same events again") from error
