"""Items of the catalogue."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from service.dependencies import ServedEngine
from service.schemas import MAX_K

router = APIRouter(tags=["items"])


@router.get("/v1/items/{item_id:path}/similar")
async def similar_items(
    item_id: Annotated[str, Path(min_length=1, max_length=256)],
    engine: ServedEngine,
    k: Annotated[int, Query(ge=1, le=MAX_K)] = 20,
) -> dict[str, Any]:
    """The k items most like this one, with their cosine."""
    found = engine.similar(item_id, k)
    return {"bundle_id": engine.bundle_id, "items": [item.model_dump(exclude_none=True) for item in found]}
