"""The intents of the bundle being served."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.dependencies import BundleId, ServedEngine, WorkerParts
from service.engine import Engine
from service.error_answers import documented
from service.errors import NotReadyError, UnknownBundleError, UnknownIntentError
from service.fields import MAX_K
from service.intent_lookup import look_up
from service.intent_map import MOST_USERS
from service.map_answer import IntentMapAnswer
from service.routes.fast import fast_post
from service.routes.paths import INTENT
from service.schemas import (
    IntentAnswer,
    IntentLookup,
    IntentNeighbour,
    IntentsAnswer,
    IntentSummary,
    OneIntentAnswer,
    RankedItem,
)

router = APIRouter(tags=["intents"], responses=documented(NotReadyError, UnknownBundleError, UnknownIntentError))
NEIGHBOURS = 5


@fast_post(router, "/v1/intents/lookup", IntentAnswer, NotReadyError, UnknownBundleError)
async def intents_of(request: IntentLookup, its: WorkerParts, bundle_id: BundleId = None) -> bytes:
    """The strongest intents of a user or a raw history."""
    answer = await look_up(request, its.registry.engine_for(request.user_id, bundle_id), its.store)
    return answer.model_dump_json(exclude_none=True).encode()


@router.get("/v1/intents", response_model_exclude_none=True)
async def all_intents(engine: ServedEngine) -> IntentsAnswer:
    """Every intent with its size, share and most typical items."""
    return IntentsAnswer(
        bundle_id=engine.bundle_id,
        meaning=engine.manifest.intents.meaning,
        post_hoc=engine.manifest.intents.post_hoc,
        intents=[_described(engine, intent_id) for intent_id in range(engine.manifest.intents.count)],
    )


@router.get("/v1/intents/map", response_model_exclude_none=True)
async def intent_map(
    engine: ServedEngine, its: WorkerParts, users: Annotated[int, Query(ge=0, le=MOST_USERS)] = 500
) -> IntentMapAnswer:
    """Where the intents lie, and some of the stored users among them; kept for half a minute."""
    return await its.maps.of(engine, users)


@router.get(INTENT, response_model_exclude_none=True)
async def one_intent(
    intent_id: int, engine: ServedEngine, k: Annotated[int, Query(ge=1, le=MAX_K)] = 20
) -> OneIntentAnswer:
    """One intent: size, share, typical items, the k items nearest to its prototype, neighbouring intents."""
    nearest = engine.intent_items(intent_id, k)
    neighbours = engine.intent_neighbours(intent_id, NEIGHBOURS)
    return OneIntentAnswer(
        bundle_id=engine.bundle_id,
        items=nearest,
        neighbours=[IntentNeighbour(intent_id=one.intent_id, similarity=one.weight) for one in neighbours],
        **dict(_described(engine, intent_id)),
    )


def _described(engine: Engine, intent_id: int) -> IntentSummary:
    """What is not available is left out."""
    found, available = engine.intents[intent_id], engine.catalogue.allowed({})
    typical = []
    for item in found.top_items:
        row = engine.vocabulary.row(item.item_id)
        if row and available is not None and not available.mask[row - 1]:
            continue
        title = engine.catalogue.title(row) if row else None
        typical.append(RankedItem(item_id=item.item_id, score=item.score, title=title))
    return IntentSummary(intent_id=intent_id, size=found.size, share=found.share, top_items=typical)
