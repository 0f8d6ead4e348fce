"""The application of the admin port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from service.admin import bundles, experiments, items, metrics
from service.admin.parts import AdminParts
from service.availability import availability
from service.control import control_state
from service.error_answers import add_error_handlers, documented
from service.event_log.files import EventFiles
from service.event_log.writer import LogWriter
from service.schemas import LiveAnswer
from service.security.audit import AuditedAccess
from service.security.document import ask_for_keys
from service.security.opening import open_access
from service.settings import Settings
from service.stores.base import SequenceStore
from service.stores.opening import open_store


def create_admin_app(settings: Settings, metrics_directory: str) -> AuditedAccess:
    """The supervisor's application."""
    app = FastAPI(
        title="Intently admin",
        version="1",
        docs_url=None,
        redoc_url=None,
        responses=documented(),
        lifespan=lambda app: _lifespan(app, settings),
    )
    add_error_handlers(app)
    app.state.metrics_directory = metrics_directory
    for resource in (bundles, experiments, items, metrics):
        app.include_router(resource.router)

    @app.get("/health/live")
    def live() -> LiveAnswer:
        return LiveAnswer()

    access = open_access(settings)
    if access.asks:
        ask_for_keys(app)
    return AuditedAccess(app, access)


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    store = open_store(settings.store, **settings.store_options())
    app.state.parts = AdminParts(
        settings.bundle, control_state(store), availability(store), settings.events is not None
    )
    async with _event_log(settings, store):
        yield
    await store.close()


@asynccontextmanager
async def _event_log(settings: Settings, store: SequenceStore) -> AsyncIterator[None]:
    """The event log is written beside the admin port, where no request waits for it."""
    if settings.events is None:
        yield
        return
    files = EventFiles(settings.events)
    writer = LogWriter(store, files, seconds=settings.events_seconds, days=settings.events_days)
    running = asyncio.create_task(writer.run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await writer.close()
