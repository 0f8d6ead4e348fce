"""Next items, for one request or a batch."""

import orjson
from fastapi import APIRouter
from pydantic import ValidationError

from service.answers import joined
from service.dependencies import BundleId, WorkerParts
from service.errors import (
    NoBlendError,
    NotReadyError,
    OverloadedError,
    ServiceError,
    TimestampError,
    UnknownBundleError,
    UnknownFilterError,
    error_body,
    invalid_body,
)
from service.routes.fast import fast_post
from service.schemas import BatchAnswer, BatchRequest, RecommendationAnswer, RecommendationRequest
from service.timestamps import check_time

router = APIRouter(tags=["recommendations"])
REFUSALS = (NotReadyError, UnknownBundleError, UnknownFilterError, NoBlendError, TimestampError)


@fast_post(router, "/v1/recommendations", RecommendationAnswer, *REFUSALS, OverloadedError, queued=True)
async def recommend_one(request: RecommendationRequest, its: WorkerParts, bundle_id: BundleId = None) -> bytes:
    """The k best next items for a user or a raw history."""
    engine = its.registry.engine_for(request.user_id, bundle_id)
    engine.check(request.filters, request.blend)
    if request.timestamp is not None:
        check_time(request.timestamp, its.intake.future_tolerance)
    if bundle_id is not None:
        return (await its.recommend([request], engine))[0]
    return await its.batches.ask(request)


@fast_post(router, "/v1/recommendations/batch", BatchAnswer, NotReadyError, UnknownBundleError)
async def recommend_batch(batch: BatchRequest, its: WorkerParts, bundle_id: BundleId = None) -> bytes:
    """One answer a request, in order; a bad request gets its own error and does not spoil the others."""
    insisted = its.registry.engine(bundle_id) if bundle_id is not None else None
    good: dict[int, RecommendationRequest] = {}
    answers: dict[int, bytes] = {}
    for place, raw in enumerate(batch.requests):
        try:
            request = RecommendationRequest.model_validate(raw)
            its.registry.engine_for(request.user_id, bundle_id).check(request.filters, request.blend)
            if request.timestamp is not None:
                check_time(request.timestamp, its.intake.future_tolerance)
            good[place] = request
        except ValidationError as error:
            answers[place] = orjson.dumps(invalid_body(error.errors()))
        except ServiceError as error:
            answers[place] = orjson.dumps(error_body(error.code, error.message))
    found = await its.recommend(list(good.values()), insisted)
    answers |= dict(zip(good, found, strict=True))
    return joined([answers[place] for place in range(len(batch.requests))])
