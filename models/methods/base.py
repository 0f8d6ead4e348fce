"""What a method is: an encoder plus the losses that teach intents."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from models.encoder import EncoderOptions, SequenceEncoder, last_vectors
from models.losses.next_item import binary_cross_entropy, cross_entropy
from models.losses.sampled_softmax import Drawn, sampled_softmax
from models.losses.shared_next_item import shared_next_item
from models.packing import Packing
from models.proposals import Negatives

NextItemLoss = Literal["bce", "ce", "in_batch", "sampled"]
Refresh = Literal["never", "first_epoch", "every_epoch", "export"]
METHODS: dict[str, type["IntentMethod"]] = {}
FULL_SOFTMAX_ITEMS = 200_000  # above this many items `ce` is `sampled`


class Histories(NamedTuple):
    """Packed item rows (T), oldest first, and the lengths (B) of the histories laid end to end."""

    rows: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Objective:
    """What every method learns beside its intents.

    `bce`: one sampled negative. `ce`: softmax over the catalogue. `sampled`: the same estimated from `negatives`.
    `in_batch`: softmax over the batch's next items (DSSRec eq. 6). With `shared_weight`, histories that led to the
    same next item are contrasted with the others (ICSRec). The softmax over the catalogue multiplies in `softmax_in`.
    """

    next_item_loss: NextItemLoss = "ce"
    shared_weight: float = 0.0
    softmax_in: torch.dtype = torch.float32
    negatives: Negatives = field(default_factory=Negatives)

    def samples(self, items: int) -> bool:
        """Whether a step sees few of so many items: then the others' vectors have no gradient."""
        return self.next_item_loss == "sampled" or (self.next_item_loss == "ce" and items > FULL_SOFTMAX_ITEMS)


class Batch(NamedTuple):
    """Packed training histories: every position is asked for its next item."""

    rows: Tensor  # (T) item rows, B histories end to end, oldest first
    lengths: Tensor  # (B)
    targets: Tensor  # (T) the next item of each position
    negatives: Tensor  # (T) an item the user has not interacted with
    sequences: Tensor  # (B) which training sequences these are
    heads: Tensor  # (B) whether each is among the longest fifth (S4Rec)
    mean_targets: float  # mean of T over the epoch's batches: the constant that normalises position losses
    partners: Histories | None = None  # for each sequence another history that led to its last target
    drawn: Tensor | None = None  # (S) item rows for a sampled softmax, shared by all positions


class Encoding(NamedTuple):
    """What is exported and served."""

    query_vectors: Tensor  # (B, Q, D)
    intent_weights: Tensor  # (B, K)


class IntentMethod(nn.Module, ABC):
    """The contract of a method. `name`, `Options` and `intents_are` are set by each class."""

    name: ClassVar[str]
    Options: ClassVar[type[Any]]
    intents_are: ClassVar[str]  # the meaning of intent_weights, for the manifest
    post_hoc: ClassVar[bool] = False  # the intents are found after training, not by it
    query_vectors: int = 1  # Q of its Encoding
    encoder: SequenceEncoder
    objective: Objective

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted loss terms by name; their sum is the loss."""

    @abstractmethod
    def encode(self, rows: Tensor, lengths: Tensor) -> Encoding:
        """Packed rows (T) and lengths (B) -> Encoding. The very function that is evaluated, exported and served."""

    @abstractmethod
    def sequence_vectors(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """The vectors (B, D) in which this method looks for intents."""

    @abstractmethod
    def refresh_intents(self, sequence_vectors: Tensor) -> None:
        """See the vectors (N, D) of all training sequences, in order, when `refresh` says so."""

    @abstractmethod
    def prototypes(self) -> Tensor:
        """The served intents (K, D)."""

    @property
    @abstractmethod
    def refresh(self) -> Refresh:
        """When `refresh_intents` is called: before the first or every epoch, only at export, or never.

        Intents that are refreshed every epoch are refreshed at export too, to fit the best epoch's encoder.
        """


def register(name: str) -> Callable[[type[IntentMethod]], type[IntentMethod]]:
    """Class decorator: make a method known under `name`."""

    def add(method: type[IntentMethod]) -> type[IntentMethod]:
        if name in METHODS:
            raise ValueError(f"method {name!r} is registered twice")
        method.name = name
        METHODS[name] = method
        return method

    return add


def build(
    name: str, items: int, encoder: EncoderOptions, objective: Objective, options: Mapping[str, Any]
) -> IntentMethod:
    """The method `name` for a catalogue of `items`. Raises ValueError naming the unknown method or option."""
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; there are {', '.join(sorted(METHODS))}")
    method = METHODS[name]
    try:
        chosen = method.Options(**options)
    except TypeError as error:
        raise ValueError(f"options of {name}: {error}") from error
    constructor: Callable[..., IntentMethod] = method
    return constructor(SequenceEncoder(items, encoder), objective, chosen)


def next_item_terms(
    encoder: SequenceEncoder, vectors: Tensor, packing: Packing, batch: Batch, objective: Objective
) -> dict[str, Tensor]:
    """{"next_item"}, and {"shared_next_item"} where partners are given: position vectors (T + 1, D) -> scalars."""
    terms = {"next_item": next_item(encoder, vectors[:-1, None], batch, objective)}
    return terms | shared_next_item_terms(encoder, vectors, packing, batch, objective)


def shared_next_item_terms(
    encoder: SequenceEncoder, vectors: Tensor, packing: Packing, batch: Batch, objective: Objective
) -> dict[str, Tensor]:
    """{"shared_next_item"} from the newest position of each sequence, {} without partners."""
    if batch.partners is None:
        return {}
    partners = last_vectors(*encoder(*batch.partners))
    contrast = shared_next_item(last_vectors(vectors, packing), partners, batch.targets[packing.last])
    return {"shared_next_item": objective.shared_weight * contrast}


def next_item(encoder: SequenceEncoder, query_vectors: Tensor, batch: Batch, objective: Objective) -> Tensor:
    """The loss of every position (T, Q, D), normalised by a constant so that long batches weigh more."""
    if objective.next_item_loss == "in_batch":
        each = torch.arange(1, len(batch.targets) + 1, device=batch.targets.device)
        return cross_entropy(query_vectors, encoder.item_vectors(batch.targets), each) / batch.mean_targets
    if objective.samples(encoder.items):
        return _sampled(encoder, query_vectors, batch, objective) / batch.mean_targets
    items = encoder.item_vectors()
    if objective.next_item_loss == "bce":
        total = binary_cross_entropy(query_vectors, items, batch.targets, batch.negatives)
    else:
        total = cross_entropy(query_vectors, items, batch.targets, products_in=objective.softmax_in)
    return total / batch.mean_targets


def _sampled(encoder: SequenceEncoder, query_vectors: Tensor, batch: Batch, objective: Objective) -> Tensor:
    """The sum over positions; only the vectors that are compared are looked up, and only they have a gradient."""
    if batch.drawn is None:
        raise ValueError("a sampled softmax needs the batch's drawn items")
    drawn = Drawn(
        batch.drawn,
        encoder.item_vectors(batch.drawn),
        objective.negatives.log_expected(batch.drawn, encoder.items),
    )
    targets = encoder.item_vectors(batch.targets)
    return sampled_softmax(query_vectors, batch.targets, targets, drawn, products_in=objective.softmax_in)
