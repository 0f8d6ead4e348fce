"""One user: recommendations, intents, what is stored, erasure."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from service.dependencies import BundleId, WorkerParts, stored_sequence
from service.error_answers import documented
from service.errors import NotReadyError, OverloadedError, StoreDownError, UnknownBundleError
from service.fields import MAX_K
from service.intent_lookup import look_up
from service.routes.paths import USER
from service.routes.recommendations import recommend_one
from service.schemas import (
    ErasedAnswer,
    IntentAnswer,
    IntentLookup,
    RecommendationAnswer,
    RecommendationRequest,
    StoredInteraction,
    UserAnswer,
)
from service.store_errors import store_failed
from service.stores.base import StoreUnavailableError

router = APIRouter(tags=["users"])
UserId = Annotated[str, Path(min_length=1, max_length=256)]
K = Annotated[int, Query(ge=1, le=MAX_K)]
Intents = Annotated[int, Query(ge=0, le=100)]


@router.get(
    f"{USER}/recommendations",
    response_model=RecommendationAnswer,
    responses=documented(NotReadyError, UnknownBundleError, OverloadedError),
)
async def user_recommendations(
    user_id: UserId,
    its: WorkerParts,
    k: K = 20,
    titles: bool = False,
    intents: Intents = 0,
    bundle_id: BundleId = None,
) -> Response:
    """The k best next items from the user's stored sequence."""
    request = RecommendationRequest(user_id=user_id, k=k, titles=titles, intents=intents)
    return Response(await recommend_one(request, its, bundle_id), media_type="application/json")


@router.get(
    f"{USER}/intents",
    response_model_exclude_none=True,
    responses=documented(NotReadyError, UnknownBundleError),
)
async def user_intents(
    user_id: UserId, its: WorkerParts, top: Annotated[int, Query(ge=1, le=1000)] = 5, bundle_id: BundleId = None
) -> IntentAnswer:
    """The user's strongest intents."""
    engine = its.registry.engine_for(user_id, bundle_id)
    return await look_up(IntentLookup(user_id=user_id, top=top), engine, its.store)


@router.get(USER, response_model_exclude_none=True, responses=documented(StoreDownError))
async def user_sequence(user_id: UserId, its: WorkerParts, titles: bool = False) -> UserAnswer:
    """What is stored of a user, oldest first; empty for one nobody has seen. Titles are those of the bundle served."""
    sequence = await stored_sequence(its.store, user_id)
    when = [datetime.fromtimestamp(one.timestamp / 1e6, UTC).isoformat() for one in sequence]
    named = its.registry.engine().titles([one.item_id for one in sequence]) if titles and its.registry.ready else {}
    stored = [
        StoredInteraction(item_id=one.item_id, timestamp=at, title=named.get(one.item_id))
        for one, at in zip(sequence, when, strict=True)
    ]
    return UserAnswer(user_id=user_id, interactions=stored)


@router.delete(USER, responses=documented(StoreDownError))
async def erase_user(user_id: UserId, its: WorkerParts) -> ErasedAnswer:
    """Forget everything about a user."""
    its.last_intents.forget(user_id)
    try:
        erased = await its.intake.erase(user_id)
    except StoreUnavailableError as error:
        store_failed("erase", error)
        raise StoreDownError("the store does not answer; the user may not have been erased, try again") from error
    return ErasedAnswer(user_id=user_id, erased=erased)
