"""The application of the admin port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from service.admin import bundles, experiments, items, metrics
from service.admin.console.page import page_router
from service.admin.console.pass_through import pass_through_router, public_port
from service.admin.parts import AdminParts
from service.admin.standings import Standings
from service.availability import Unavailable, availability
from service.control import Control, control_state
from service.error_answers import add_error_handlers, documented
from service.event_log.files import EventFiles
from service.event_log.telemetry import BUFFER
from service.event_log.writer import LogWriter
from service.experiments.report.keeper import Reports
from service.schemas import LiveAnswer
from service.security.audit import AuditedAccess
from service.security.document import ask_for_keys
from service.security.opening import open_access
from service.settings import Settings
from service.shared_document import SharedDocument
from service.stores.base import SequenceStore
from service.stores.opening import opened_store


def create_admin_app(
    settings: Settings, metrics_directory: str, public: str = "http://127.0.0.1:8000"
) -> AuditedAccess:
    """The supervisor's application. `public`: where it reaches the public port."""
    app = FastAPI(
        title="Intently admin",
        version="1",
        docs_url=None,
        redoc_url=None,
        responses=documented(),
        lifespan=lambda app: _lifespan(app, settings, public),
    )
    add_error_handlers(app)
    app.state.metrics_directory = metrics_directory
    for resource in (bundles, experiments, items, metrics):
        app.include_router(resource.router)
    app.include_router(page_router())
    app.include_router(pass_through_router())

    @app.get("/health/live")
    def live() -> LiveAnswer:
        return LiveAnswer()

    access = open_access(settings)
    if access.asks:
        ask_for_keys(app)
    return AuditedAccess(app, access)


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, public: str) -> AsyncIterator[None]:
    async with opened_store(settings.store, **settings.store_options()) as store:
        control, unavailable = control_state(store), availability(store)
        following = asyncio.create_task(_follow(control, unavailable, settings.poll_seconds))
        try:
            async with _event_log(settings, store, control) as standings, public_port(public) as app.state.public:
                app.state.parts = AdminParts(settings.bundle, control, unavailable, standings)
                yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _follow(control: SharedDocument[Control], unavailable: SharedDocument[Unavailable], seconds: float) -> None:
    """So that a decision about a store that came back empty is one about what was known before."""
    while True:
        await control.poll()
        await unavailable.poll()
        await asyncio.sleep(seconds)


@asynccontextmanager
async def _event_log(
    settings: Settings, store: SequenceStore, control: SharedDocument[Control]
) -> AsyncIterator[Standings | None]:
    """The event log is written, and read, beside the admin port, where no request waits for it."""
    if settings.events is None:
        yield None
        return
    files = EventFiles(settings.events)
    writer = LogWriter(store, files, seconds=settings.events_seconds, days=settings.events_days)
    BUFFER.set(settings.events_buffer_mb * 1e6)
    standings = Standings(control, Reports(settings.events), lambda: writer.writes)
    running = asyncio.gather(writer.run(), standings.run(settings.events_seconds))
    try:
        yield standings
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await writer.close()
