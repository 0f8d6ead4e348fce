"""Next items, for one request or a batch."""

import orjson
from fastapi import APIRouter
from pydantic import ValidationError

from service.answers import joined
from service.dependencies import BundleId, WorkerParts
from service.errors import ServiceError, error_body, invalid_body
from service.recommending import recommend
from service.routes.fast import fast_post
from service.schemas import BatchAnswer, BatchRequest, RecommendationAnswer, RecommendationRequest

router = APIRouter(tags=["recommendations"])


@fast_post(router, "/v1/recommendations", RecommendationAnswer)
async def recommend_one(request: RecommendationRequest, its: WorkerParts, bundle_id: BundleId = None) -> bytes:
    """The k best next items for a user or a raw history."""
    engine = its.registry.engine(bundle_id)
    engine.check(request.filters, request.blend)
    if bundle_id is not None:
        return (await recommend([request], engine, its.store, its.last_intents))[0]
    return await its.recommendations.ask(request)


@fast_post(router, "/v1/recommendations/batch", BatchAnswer)
async def recommend_batch(batch: BatchRequest, its: WorkerParts, bundle_id: BundleId = None) -> bytes:
    """One answer a request, in order; a bad request gets its own error and does not spoil the others."""
    engine = its.registry.engine(bundle_id)
    good: dict[int, RecommendationRequest] = {}
    answers: dict[int, bytes] = {}
    for place, raw in enumerate(batch.requests):
        try:
            good[place] = RecommendationRequest.model_validate(raw)
            engine.check(good[place].filters, good[place].blend)
        except ValidationError as error:
            answers[place] = orjson.dumps(invalid_body(error.errors()))
        except ServiceError as error:
            del good[place]
            answers[place] = orjson.dumps(error_body(error.code, error.message))
    found = await recommend(list(good.values()), engine, its.store, its.last_intents)
    answers |= dict(zip(good, found, strict=True))
    return joined([answers[place] for place in range(len(batch.requests))])
