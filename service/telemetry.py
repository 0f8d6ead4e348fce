"""What Prometheus sees of the workers. Never a label by user, item or raw path; every status is counted."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Literal, NamedTuple, get_args

from prometheus_client import Counter, Gauge, Histogram

from service.recent_intents import entropy
from service.schemas import Source
from service.stores.base import EventStatus

LATENCY = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

REQUESTS = Counter("intently_requests", "Requests answered.", ["route", "method", "status"])
DURATION = Histogram("intently_request_duration_seconds", "Time to answer a request.", ["route"], buckets=LATENCY)
STAGE = Histogram("intently_stage_duration_seconds", "Time spent in one stage.", ["stage"], buckets=LATENCY)
RECOMMENDATIONS = Counter("intently_recommendations", "Lists answered, by where they came from.", ["source"])
UNKNOWN_ITEMS = Counter("intently_unknown_items", "Items of histories that the bundle lacks.")
UNDERFILLED = Counter("intently_underfilled", "Lists with fewer items than asked for.")
EVENTS = Counter("intently_events", "Events received, by what became of them.", ["status"])
STORE_ERRORS = Counter("intently_store_errors", "Calls the store did not answer.", ["operation"])
BUNDLE = Gauge(
    "intently_bundle_info", "1 for the bundle being served.", ["bundle_id", "method"], multiprocess_mode="livemax"
)
BATCH_SIZE = Histogram("intently_batch_size", "Requests answered together.", buckets=(1, 2, 4, 8, 16, 32, 64))
QUEUE_DEPTH = Gauge("intently_queue_depth", "Requests waiting when a batch was begun.", multiprocess_mode="livesum")
CONTROL_VERSION = Gauge(
    "intently_control_version", "The oldest control state that a worker follows.", multiprocess_mode="livemin"
)
UNAVAILABLE_ITEMS = Gauge(
    "intently_unavailable_items", "Items that must not be shown for now.", multiprocess_mode="livemin"
)
SHADOW_OVERLAP = Histogram(
    "intently_shadow_overlap", "Share of a list that the shadow shows too.", buckets=[0.1 * step for step in range(11)]
)
SHADOW_DURATION = Histogram("intently_shadow_duration_seconds", "Time of the shadow for a batch.", buckets=LATENCY)
SHADOW_DROPPED = Counter("intently_shadow_dropped", "Requests not compared because the shadow was at work.")
BREAKER_OPEN = Gauge(
    "intently_store_breaker_open", "Workers that ask the store no more than once a second.", multiprocess_mode="livesum"
)
BREAKER_CHANGES = Counter("intently_store_breaker_changes", "Times that a worker's breaker opened or closed.", ["to"])
BUNDLE_CREATED = Gauge(
    "intently_bundle_created_seconds",
    "When the active bundle was made (Unix time), of the workers' bundles the oldest; 0 without one.",
    multiprocess_mode="livemin",
)
INTENT_ENTROPY = Gauge(
    "intently_intent_entropy",
    "Entropy (nats) of the strongest intents of a worker's last 1000 answers by the active bundle, the highest of the "
    "workers, taken at every poll; e to its power is the effective number of intents.",
    multiprocess_mode="livemax",  # of few answers it is too low: a worker that has just begun must not count
)
INTENT_ANSWERS = Gauge(
    "intently_intent_answers",
    "Of the workers' last 1000 answers each, by the active bundle: those of its most frequent intent (rank 1), of the "
    "second, and so on, and of all other intents.",
    ["rank"],  # an intent's number would mean another one after every swap
    multiprocess_mode="livesum",
)
EXPOSURES = Counter("intently_exposures", "Exposures of running experiments.", ["experiment", "variant"])
EXPOSURES_DROPPED = Counter("intently_exposures_dropped", "Exposures that no file will hold.", ["reason"])
READY = Gauge("intently_ready", "Workers that have loaded a bundle.", multiprocess_mode="livesum")

INTENT_RANKS = ("1", "2", "3", "4", "5", "6", "7", "8", "9")  # and "other"
STAGES = ("queue", "store", "encode", "search", "answer", "expose")
EVENT_STATUSES = (*(status.value for status in EventStatus), "future", "invalid")
HTTP_STATUSES = ("200", "422", "500", "503")  # every route can answer these; others appear when they happen
STORE_OPERATIONS = ("append", "read", "erase", "expose")
DropReason = Literal["no_log", "full", "disk"]
BREAKER_STATES = ("closed", "open")  # False and True


def initialise(routes: Iterable[tuple[str, str]] = ()) -> None:
    """Make the series exist, so that a rate is right from the first increment. `routes`: (template, method)."""
    for route, method in routes:
        DURATION.labels(route)
        for http_status in HTTP_STATUSES:
            REQUESTS.labels(route, method.upper(), http_status)
    for stage in STAGES:
        STAGE.labels(stage)
    for source in get_args(Source):
        RECOMMENDATIONS.labels(source)
    for status in EVENT_STATUSES:
        EVENTS.labels(status)
    for operation in STORE_OPERATIONS:
        STORE_ERRORS.labels(operation)
    for reason in get_args(DropReason):
        exposures_dropped(reason)
    for state in BREAKER_STATES:
        BREAKER_CHANGES.labels(state)
    intents_answered([])


def intents_answered(counts: Sequence[int]) -> None:
    """How many of this worker's latest answers each intent had, the most frequent first."""
    INTENT_ENTROPY.set(entropy(counts))
    for place, rank in enumerate(INTENT_RANKS):
        INTENT_ANSWERS.labels(rank).set(counts[place] if place < len(counts) else 0)
    INTENT_ANSWERS.labels("other").set(sum(counts[len(INTENT_RANKS) :]))


def breaker_changed(is_open: bool) -> None:
    """This worker's breaker opened or closed."""
    BREAKER_OPEN.set(is_open)
    BREAKER_CHANGES.labels(BREAKER_STATES[is_open]).inc()


@cache  # finding a series by its labels takes four times as long as counting in it
def answered(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """Where an answer is counted and timed."""
    return REQUESTS.labels(route, method, str(status)), DURATION.labels(route)


@cache
def exposures(experiment: str, variant: str) -> Counter:
    """Where exposures are counted."""
    return EXPOSURES.labels(experiment, variant)


@cache
def exposures_dropped(reason: DropReason) -> Counter:
    """Where exposures are counted that could not be kept."""
    return EXPOSURES_DROPPED.labels(reason)


@cache
def stage_times(stage: str) -> Histogram:
    """Where a stage is timed."""
    return STAGE.labels(stage)


class Timing(NamedTuple):
    """A stage, from when until when (time.perf_counter)."""

    stage: str
    started: float
    ended: float


TIMINGS: ContextVar[list[Timing] | None] = ContextVar("timings", default=None)  # of a request that is traced


class Stages:
    """Times the stages of one request."""

    def __init__(self, *, observed: bool = True) -> None:
        """Without `observed` nothing is told: for work that is no request."""
        self._observed = observed
        self._timings = TIMINGS.get()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Observe the time of the block under `stage`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            if self._observed:
                stage_times(stage).observe(ended - started)
            if self._timings is not None:
                self._timings.append(Timing(stage, started, ended))
