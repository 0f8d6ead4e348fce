"""What a bundle says of itself: shapes, counts, metrics and the digest of every file."""

import hashlib
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION: Literal[1] = 1
ID_DIGITS = 16
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
BUNDLE_ID = re.compile(rf"{NAME}-[0-9a-f]{{{ID_DIGITS}}}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileDigest(_Strict):
    """Size in bytes and SHA-256 of one file."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class IntentSpace(_Strict):
    """How many intents there are and where they come from."""

    count: int = Field(ge=1)
    post_hoc: bool = Field(description="found by K-means at export, because the method learns none of its own")
    meaning: str = Field(description="what the method's intent weights are")


class Blend(_Strict):
    """How co-occurrence is added to the encoder's scores."""

    weight: float = Field(gt=0, description="chosen on the validation split")
    decay: float = Field(gt=0, le=1, description="from one item of the history to the one before")


class SecondStage(_Strict):
    """What `ranker.onnx` is asked, what is made of its answers, and how it did on the day that was held out."""

    candidates: int = Field(ge=1, description="of the first stage's best, how many are ranked anew")
    conversion_value: float = Field(ge=0, description="clicks that a conversion is worth")
    activity_thresholds: list[int] = Field(description="most stored events of each user group but the last")
    attributes: dict[str, list[str]] = Field(default={}, description="attribute of requests -> values told apart")
    clusters: int = Field(ge=0, description="of users, at the gates; 0: the gates see the user alone")
    exposures: int = Field(ge=0, description="lists it was trained and validated on")
    whole_histories: float = Field(ge=0, le=1, description="share of lists whose user's events the log held all")
    position_weights: list[float] = Field(default=[], description="chance that a place is looked at, over the first's")
    metrics: dict[str, dict[str, float]] = Field(default={}, description="user group -> metric, last day")
    cluster_shares: dict[str, list[float]] = Field(default={}, description="user group -> share in each cluster")
    config: dict[str, Any] = Field(default={}, description="the ranker's configuration")


Curve = list[tuple[int, float]]  # epoch, value


class TrainingRun(_Strict):
    """How the training went that the weights come from; curves are thinned."""

    epochs: int = Field(ge=0)
    best_epoch: int = Field(ge=0, description="whose weights are in the bundle")
    seconds: float = Field(ge=0)
    peak_memory_mb: float = Field(ge=0, description="10^6 bytes")
    losses: dict[str, Curve] = Field(default={}, description="loss term -> its mean in each epoch")
    validation: dict[str, Curve] = Field(default={}, description="metric -> its value after each validated epoch")


class Manifest(_Strict):
    """`manifest.json`. Its SHA-256 is the tail of the bundle id, so nothing can be altered unseen."""

    format_version: Literal[1] = FORMAT_VERSION
    name: str = Field(pattern=f"^{NAME}$")
    method: str
    next_item_loss: str
    created: str = Field(description="RFC 3339, UTC")
    max_length: int = Field(ge=1, description="newest items of a history that the encoder reads")
    dimensions: int = Field(ge=1, description="D of the item, query and prototype vectors")
    query_vectors: int = Field(ge=1, description="Q; an item's score is the best of its Q inner products")
    items: int = Field(ge=1, description="V, the size of the catalogue")
    intents: IntentSpace
    training_users: int = Field(ge=0)
    training_interactions: int = Field(ge=0)
    metrics: dict[str, dict[str, float]] = Field(default={}, description="split -> metric -> value")
    run: TrainingRun | None = Field(default=None, description="of a bundle made of another: its parent's")
    intent_report: dict[str, float] = {}
    intent_warnings: list[str] = Field(default=[], description="what the gate before publishing found wrong")
    config: dict[str, Any] = Field(default={}, description="the training configuration")
    data_fingerprint: str
    blend: Blend | None = None
    ranker: SecondStage | None = None
    parent: str | None = Field(default=None, description="the bundle this one was made of")
    files: dict[str, FileDigest]


def manifest_digits(manifest_json: bytes) -> str:
    """The digits that bind a bundle id to its manifest."""
    return hashlib.sha256(manifest_json).hexdigest()[:ID_DIGITS]
