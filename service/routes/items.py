"""Items of the catalogue."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from service.dependencies import ServedEngine
from service.error_answers import documented
from service.errors import NotReadyError, UnknownBundleError, UnknownItemError
from service.fields import MAX_K
from service.routes.paths import ITEM
from service.schemas import SimilarAnswer

router = APIRouter(tags=["items"], responses=documented(NotReadyError, UnknownBundleError, UnknownItemError))


@router.get(f"{ITEM}/similar", response_model_exclude_none=True)
async def similar_items(
    item_id: Annotated[str, Path(min_length=1, max_length=256)],
    engine: ServedEngine,
    k: Annotated[int, Query(ge=1, le=MAX_K)] = 20,
) -> SimilarAnswer:
    """The k items most like this one, with their cosine."""
    return SimilarAnswer(bundle_id=engine.bundle_id, items=engine.similar(item_id, k))
