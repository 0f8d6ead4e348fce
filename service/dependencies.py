"""What a route may ask for, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Query, Request

from service.batching import MicroBatches
from service.control import Control
from service.engine import Engine
from service.errors import StoreDownError
from service.events import EventIntake
from service.experiments.report.keeper import Reports
from service.intent_map import IntentMaps
from service.last_intents import LastIntents
from service.registry import Registry
from service.schemas import RecommendationRequest
from service.shared_document import SharedDocument
from service.store_errors import store_failed
from service.stores.base import Interaction, SequenceStore, StoreUnavailableError
from service.telemetry import Stages


class Recommend(Protocol):
    """Requests -> their answers as JSON, in order; from `engine`, else from the engine of each user."""

    async def __call__(
        self, requests: Sequence[RecommendationRequest], engine: Engine | None = None
    ) -> list[bytes]: ...


@dataclass(frozen=True)
class Parts:
    """Everything a worker is made of; built once, at start."""

    registry: Registry
    store: SequenceStore
    intake: EventIntake
    recommend: Recommend
    batches: MicroBatches[RecommendationRequest, bytes]  # the same for requests that come one by one
    control: SharedDocument[Control]
    last_intents: LastIntents
    reports: Reports
    maps: IntentMaps


async def parts(request: Request) -> Parts:  # async, like `engine`: FastAPI sends others to a thread, per request
    """The worker's parts."""
    found: Parts = request.app.state.parts
    return found


WorkerParts = Annotated[Parts, Depends(parts)]
BundleId = Annotated[str | None, Query(description="insist on one bundle")]


async def engine(its: WorkerParts, bundle_id: BundleId = None) -> Engine:
    """The engine being served; `?bundle_id=` insists on one bundle."""
    return its.registry.engine(bundle_id)


ServedEngine = Annotated[Engine, Depends(engine)]


class Histories:
    """Stored sequences for requests; a store that is away is noted, never waited for."""

    def __init__(self, store: SequenceStore, stages: Stages) -> None:
        self._store = store
        self._stages = stages
        self.degraded: str | None = None

    async def of(self, user_ids: list[str]) -> list[list[str]]:
        """Item ids of each user, oldest first; all empty, and `degraded` set, while the store is away."""
        if not user_ids:
            return []
        try:
            with self._stages.measure("store"):
                found = await self._store.recent_many(user_ids)
        except StoreUnavailableError as error:
            store_failed("read", error)
            self.degraded = "store_unavailable"
            return [[] for _ in user_ids]
        return [[interaction.item_id for interaction in sequence] for sequence in found]


async def stored_sequence(store: SequenceStore, user_id: str) -> list[Interaction]:
    """One user's interactions. Raises StoreDownError."""
    try:
        return (await store.recent_many([user_id]))[0]
    except StoreUnavailableError as error:
        store_failed("read", error)
        raise StoreDownError("the store does not answer; try again") from error
