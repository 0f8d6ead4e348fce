"""Next items, for one request or a batch."""

from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError

from service.dependencies import ServedEngine, WorkerParts
from service.errors import invalid_body
from service.recommending import recommend
from service.schemas import BatchRequest, RecommendationAnswer, RecommendationRequest

router = APIRouter(tags=["recommendations"])


@router.post("/v1/recommendations", response_model_exclude_none=True)
async def recommend_one(request: RecommendationRequest, its: WorkerParts, engine: ServedEngine) -> RecommendationAnswer:
    """The k best next items for a user or a raw history."""
    return (await recommend([request], engine, its.store))[0]


@router.post("/v1/recommendations/batch")
async def recommend_batch(batch: BatchRequest, its: WorkerParts, engine: ServedEngine) -> dict[str, list[Any]]:
    """One answer a request, in order; a bad request gets its own error and does not spoil the others."""
    good: dict[int, RecommendationRequest] = {}
    answers: dict[int, dict[str, Any]] = {}
    for place, raw in enumerate(batch.requests):
        try:
            good[place] = RecommendationRequest.model_validate(raw)
        except ValidationError as error:
            answers[place] = invalid_body(error.errors())
    for place, answer in zip(good, await recommend(list(good.values()), engine, its.store), strict=True):
        answers[place] = answer.model_dump(exclude_none=True)
    return {"answers": [answers[place] for place in range(len(batch.requests))]}
