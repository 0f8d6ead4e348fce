"""The public application: routes, error shape, and what lives as long as a worker."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service import telemetry
from service.batching import MicroBatches
from service.dependencies import Parts
from service.errors import ServiceError, error_body, invalid_body
from service.events import EventIntake
from service.middleware import Guard
from service.recommending import IN_LOOP, recommend
from service.registry import Registry
from service.routes import events, health, intents, items, recommendations, users
from service.schemas import ErrorAnswer, RecommendationRequest
from service.settings import Settings
from service.stores.opening import open_store

log = logging.getLogger("intently")
RETRY_AFTER = "1"  # seconds, said with every 503


def create_app_from_environment() -> FastAPI:
    """For uvicorn's workers: settings come from INTENTLY_* variables."""
    return create_app(Settings())


def create_app(settings: Settings) -> FastAPI:
    """One worker's application."""
    app = FastAPI(
        title="Intently",
        version="1",
        description="Next items and intents from raw sequences.",
        docs_url=None,
        redoc_url=None,
        responses={"default": {"model": ErrorAnswer, "description": "Refused, or failed."}},
        lifespan=lambda app: _lifespan(app, settings),
    )
    for resource in (recommendations, intents, items, events, health, users):
        app.include_router(resource.router)
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    app.add_middleware(Guard)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    telemetry.initialise((path, method) for path, methods in app.openapi()["paths"].items() for method in methods)
    store = open_store(settings.store, stored_events=settings.stored_events, timeout=settings.store_timeout)
    registry = Registry(settings.bundle, threads=settings.threads)
    intake = EventIntake(store, settings.sequence_event_types, settings.future_tolerance)

    async def answer(requests: Sequence[RecommendationRequest]) -> list[bytes]:
        return await recommend(requests, registry.engine(), store)

    batches = MicroBatches(answer, largest=IN_LOOP, queue_limit=settings.queue_limit, deadline=settings.deadline)
    app.state.parts = Parts(registry, store, intake, batches)
    await registry.refresh()
    watch = asyncio.create_task(registry.watch(settings.poll_seconds))
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await store.close()


def _json(status: int, body: Any) -> Response:
    headers = {"retry-after": RETRY_AFTER} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(orjson.dumps(body, default=str), status, headers, "application/json")


async def _service_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return _json(error.status, error_body(error.code, error.message, error.details))


async def _invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return _json(422, invalid_body(error.errors()))


async def _http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return _json(error.status_code, error_body(code, str(error.detail)))


async def _unexpected(_: Request, error: Exception) -> Response:
    log.exception("unexpected error", exc_info=error)
    return _json(500, error_body("internal_error", "the request failed; the log says why"))
