"""What a bundle knows of its items and intents, one row each."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class Item(BaseModel):
    """One item of the catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: str
    title: str | None = None
    category: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)  # a default dict is copied deeply for every item


class IntentItem(BaseModel):
    """An item typical of an intent: score = p(item | intent) ln(p(item | intent) / p(item))."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: str
    score: float


class IntentDescription(BaseModel):
    """One intent, as found on the training sequences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    intent_id: int = Field(ge=0)
    size: int = Field(ge=0, description="training users whose strongest intent this is")
    share: float = Field(ge=0, le=1, description="size / training users")
    top_items: list[IntentItem] = Field(description="most typical of its users, best first")


def items_jsonl(items: Sequence[Item]) -> bytes:
    """One JSON object a line, in row order."""
    lines = (
        item.model_dump_json(exclude_defaults=True, exclude=None if item.attributes else {"attributes"})
        for item in items
    )
    return b"".join(line.encode() + b"\n" for line in lines)


def intents_json(intents: Sequence[IntentDescription]) -> bytes:
    """All intents as one JSON array, in order of intent_id."""
    return json.dumps([intent.model_dump() for intent in intents]).encode()


def popularity_npy(counts: NDArray[np.int64]) -> bytes:
    """Interactions per item row (V) as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, counts.astype(np.int64), allow_pickle=False)
    return buffer.getvalue()
