"""The public application: routes, error shape, and what lives as long as a worker."""

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from service import telemetry
from service.availability import availability
from service.batching import MicroBatches
from service.control import control_state
from service.dependencies import Parts
from service.error_answers import add_error_handlers, documented
from service.events import EventIntake
from service.experiments.activity import Activity
from service.experiments.report.keeper import Reports
from service.exposing import Exposing
from service.intent_map import IntentMaps
from service.last_intents import LastIntents
from service.middleware import Guard
from service.recent_posts import RecentPosts
from service.recommending import IN_LOOP, Recommending
from service.registry import Registry
from service.routes import events, experiments, health, intents, items, recommendations, users
from service.routes.fast import FastRoute
from service.security.access import Access
from service.security.document import ask_for_keys
from service.security.opening import open_access
from service.settings import Settings
from service.shadow import Shadow
from service.spool import Spool
from service.stores.base import SequenceStore, StoreUnavailableError
from service.stores.breaker import CircuitBreaker
from service.stores.opening import StoreOptions, opened_store

log = logging.getLogger("intently")
EXPOSURES_SHARE = 0.5  # of the buffer: events, which nobody can make again, have the rest for themselves
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}  # its paths name users
RESOURCES = (recommendations, intents, items, events, experiments, health, users)


def create_app_from_environment() -> ASGIApp:
    """For uvicorn's workers: settings come from INTENTLY_* variables."""
    return create_app(Settings())


def create_app(settings: Settings) -> ASGIApp:
    """One worker's application."""
    access = open_access(settings, workers=settings.workers)
    app = FastAPI(
        title="Intently",
        version="1",
        description="Next items and intents from raw sequences.",
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        responses=documented(),
        lifespan=lambda app: _lifespan(app, settings, access),
    )
    for resource in RESOURCES:
        app.include_router(resource.router)
    add_error_handlers(app)
    if access.asks:
        ask_for_keys(app)
    routes = (route for resource in RESOURCES for route in resource.router.routes)
    fast = [route for route in routes if isinstance(route, FastRoute)]
    guard = Guard(app, fast, access, logged=settings.access_log)
    if not settings.traces:
        return guard
    from service.tracing import Traced  # the extra `otel`, and what it costs, only for those who ask for it

    return Traced(guard)


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, access: Access) -> AsyncIterator[None]:
    telemetry.initialise((path, method) for path, methods in app.openapi()["paths"].items() for method in methods)
    options: StoreOptions = {**settings.store_options(), "breaker": CircuitBreaker(changed=telemetry.breaker_changed)}
    async with opened_store(settings.store, **options) as store, _answering(app, settings, access, store):
        yield


@asynccontextmanager
async def _answering(app: FastAPI, settings: Settings, access: Access, store: SequenceStore) -> AsyncIterator[None]:
    """What answers from the store, and follows what others decide."""
    registry = Registry(settings.bundle, threads=settings.threads, device=settings.device)
    last_intents = LastIntents()
    types = settings.sequence_event_types
    posts = None if settings.events is None else RecentPosts(store, types, written_every=settings.events_seconds)
    intake = EventIntake(store, types, settings.future_tolerance, posts)

    shadow = Shadow(registry)
    spool = None if settings.events is None else Spool(settings.events, lambda content: store.append([], content))
    exposing = Exposing(spool, Activity(settings.activity_thresholds))
    recommending = Recommending(registry, store, last_intents, exposing, shadow)
    batches = MicroBatches(
        recommending.answer, largest=IN_LOOP, queue_limit=settings.queue_limit, deadline=settings.deadline
    )
    control = control_state(store)
    reports, maps = Reports(settings.events), IntentMaps(store)
    app.state.parts = Parts(registry, store, intake, recommending.answer, batches, control, last_intents, reports, maps)
    unavailable = availability(store)

    async def follow() -> None:
        """Whatever holds at once: keys, what is not available, what was decided, how far the event log is behind."""
        _end_without_supervisor()
        access.refresh()
        registry.hide((await unavailable.poll()).item_ids)
        telemetry.UNAVAILABLE_ITEMS.set(len(unavailable.current.item_ids))
        await control.poll()
        if registry.ready:
            telemetry.intents_answered(recommending.recent_intents.counts(registry.engine().bundle_id))
        if posts is not None:
            with suppress(StoreUnavailableError):
                await posts.follow()
                waiting = await store.logged_bytes() / 1e6
                intake.log_full = waiting > settings.events_buffer_mb
                exposing.full = waiting > settings.events_buffer_mb * EXPOSURES_SHARE

    async def serve() -> None:
        """What was decided about bundles and experiments; a large bundle is prepared for minutes."""
        decided = control.current
        await registry.refresh(decided)
        recommending.follow(decided)
        telemetry.CONTROL_VERSION.set(decided.version)

    async def adopt() -> None:
        """What other processes left on the event log's volume, which may be away, or hang."""
        if spool is not None:
            with suppress(StoreUnavailableError, OSError):
                await spool.adopt()

    await follow()
    await serve()
    watches = [asyncio.create_task(_repeat(work, settings.poll_seconds)) for work in (follow, serve, adopt)]
    try:
        yield
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        shadow.close()
        if spool is not None:
            await spool.close()


def _end_without_supervisor() -> None:
    """Nobody would replace this worker, or answer for it on the admin port: it finishes what it has and goes."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None and not supervisor.is_alive():
        signal.raise_signal(signal.SIGTERM)


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception:  # whatever it is: nobody would follow any more
            log.exception("%s failed, and is tried again", work.__name__)
