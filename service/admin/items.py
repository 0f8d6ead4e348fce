"""Which items may be shown at the moment."""

import logging
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.admin.parts import Its, change
from service.error_answers import documented
from service.errors import ConflictError, StoreDownError
from service.fields import Identifier

log = logging.getLogger("intently")
router = APIRouter(prefix="/admin/items", tags=["items"])
ItemIds = Annotated[list[Identifier], Field(max_length=100_000)]


class AvailabilityChange(BaseModel):
    """Item ids that are gone, and ids that are back; an item in both is back."""

    model_config = ConfigDict(extra="forbid")

    unavailable: ItemIds = []
    available: ItemIds = []


class UnavailableAnswer(BaseModel):
    """Every item that must not be shown for now."""

    version: int
    item_ids: list[str]


class AvailabilityAnswer(BaseModel):
    """How many items must not be shown now."""

    version: int
    unavailable: int


@router.get("/unavailable")
async def unavailable(its: Its) -> UnavailableAnswer:
    """Every item that must not be shown for now."""
    known = await its.unavailable.poll()
    return UnavailableAnswer(version=known.version, item_ids=sorted(known.item_ids))


@router.post("/availability", responses=documented(ConflictError, StoreDownError))
async def change_availability(wanted: AvailabilityChange, its: Its) -> AvailabilityAnswer:
    """Every worker follows within a poll; no bundle has to be trained or loaded."""
    decided = await change(its.unavailable, lambda known: known.changed(gone=wanted.unavailable, back=wanted.available))
    log.info("availability %d: %d items are not available", decided.version, len(decided.item_ids))
    return AvailabilityAnswer(version=decided.version, unavailable=len(decided.item_ids))
