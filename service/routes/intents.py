"""The intents of the bundle being served."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.dependencies import BundleId, ServedEngine, WorkerParts
from service.engine import Engine
from service.intent_lookup import look_up
from service.routes.fast import fast_post
from service.schemas import MAX_K, IntentAnswer, IntentLookup

router = APIRouter(tags=["intents"])
NEIGHBOURS = 5


@fast_post(router, "/v1/intents/lookup", IntentAnswer)
async def intents_of(request: IntentLookup, its: WorkerParts, bundle_id: BundleId = None) -> bytes:
    """The strongest intents of a user or a raw history."""
    answer = await look_up(request, its.registry.engine_for(request.user_id, bundle_id), its.store)
    return answer.model_dump_json(exclude_none=True).encode()


@router.get("/v1/intents")
async def all_intents(engine: ServedEngine) -> dict[str, Any]:
    """Every intent with its size, share and most typical items."""
    return {
        "bundle_id": engine.bundle_id,
        "meaning": engine.manifest.intents.meaning,
        "post_hoc": engine.manifest.intents.post_hoc,
        "intents": [_described(engine, intent_id) for intent_id in range(engine.manifest.intents.count)],
    }


@router.get("/v1/intents/{intent_id}")
async def one_intent(
    intent_id: int, engine: ServedEngine, k: Annotated[int, Query(ge=1, le=MAX_K)] = 20
) -> dict[str, Any]:
    """One intent: size, share, typical items, the k items nearest to its prototype, neighbouring intents."""
    nearest = engine.intent_items(intent_id, k)
    neighbours = engine.intent_neighbours(intent_id, NEIGHBOURS)
    return {
        "bundle_id": engine.bundle_id,
        **_described(engine, intent_id),
        "items": [item.model_dump(exclude_none=True) for item in nearest],
        "neighbours": [{"intent_id": one.intent_id, "similarity": one.weight} for one in neighbours],
    }


def _described(engine: Engine, intent_id: int) -> dict[str, Any]:
    found = engine.intents[intent_id]
    typical = []
    for item in found.top_items:
        row = engine.vocabulary.row(item.item_id)
        title = engine.items[row - 1].title if row else None
        typical.append({"item_id": item.item_id, "score": item.score, **({"title": title} if title else {})})
    return {"intent_id": intent_id, "size": found.size, "share": found.share, "top_items": typical}
