"""Which items may be shown at the moment."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.admin.parts import Its, change
from service.schemas import Identifier

log = logging.getLogger("intently")
router = APIRouter(prefix="/admin/items", tags=["items"])
ItemIds = Annotated[list[Identifier], Field(max_length=100_000)]


class AvailabilityChange(BaseModel):
    """Item ids that are gone, and ids that are back; an item in both is back."""

    model_config = ConfigDict(extra="forbid")

    unavailable: ItemIds = []
    available: ItemIds = []


@router.get("/unavailable")
async def unavailable(its: Its) -> dict[str, Any]:
    """Every item that must not be shown for now."""
    known = await its.unavailable.poll()
    return {"version": known.version, "item_ids": sorted(known.item_ids)}


@router.post("/availability")
async def change_availability(wanted: AvailabilityChange, its: Its) -> dict[str, Any]:
    """Every worker follows within a poll; no bundle has to be trained or loaded."""
    decided = await change(its.unavailable, lambda known: known.changed(gone=wanted.unavailable, back=wanted.available))
    log.info("availability %d: %d items are not available", decided.version, len(decided.item_ids))
    return {"version": decided.version, "unavailable": len(decided.item_ids)}
