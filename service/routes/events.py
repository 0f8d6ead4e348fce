"""Interactions as they happen."""

from fastapi import APIRouter

from service.dependencies import WorkerParts
from service.errors import OverloadedError, StoreDownError
from service.routes.fast import fast_post
from service.schemas import EventsAnswer, EventsRequest
from service.store_errors import store_failed
from service.stores.base import StoreUnavailableError

router = APIRouter(tags=["events"])


@fast_post(router, "/v1/events", EventsAnswer, OverloadedError, StoreDownError)
async def post_events(request: EventsRequest, its: WorkerParts) -> bytes:
    """One result an event, in order. Send the whole batch again after a 503: repeated events change nothing."""
    engine = its.registry.engine() if its.registry.ready else None
    try:
        results = await its.intake.receive(request.events, engine)
    except StoreUnavailableError as error:
        store_failed("append", error)
        raise StoreDownError("the store does not answer; send the same events again") from error
    return EventsAnswer(results=results).model_dump_json(exclude_none=True).encode()
