"""What a method is: an encoder plus the losses that teach intents."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from models.encoder import EncoderOptions, SequenceEncoder
from models.losses.next_item import binary_cross_entropy, cross_entropy

NextItemLoss = Literal["bce", "ce"]
METHODS: dict[str, type["IntentMethod"]] = {}


class Batch(NamedTuple):
    """Packed training histories: every position is asked for its next item."""

    rows: Tensor  # (T) item rows, B histories end to end, oldest first
    lengths: Tensor  # (B)
    targets: Tensor  # (T) the next item of each position
    negatives: Tensor  # (T) an item the user has not interacted with
    sequences: Tensor  # (B) which training sequences these are
    mean_targets: float  # mean of T over the epoch's batches: the constant that normalises position losses


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
    encoder: SequenceEncoder

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
        """See the vectors (N, D) of all training sequences, in order: before an epoch if `refreshes`, and at export."""

    @abstractmethod
    def prototypes(self) -> Tensor:
        """The served intents (K, D)."""

    @property
    def refreshes(self) -> bool:
        """Whether training itself needs `refresh_intents` before every epoch."""
        return not self.post_hoc


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
    name: str, items: int, encoder: EncoderOptions, next_item_loss: NextItemLoss, options: Mapping[str, Any]
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
    return constructor(SequenceEncoder(items, encoder), next_item_loss, chosen)


def next_item_term(encoder: SequenceEncoder, position_vectors: Tensor, batch: Batch, loss: NextItemLoss) -> Tensor:
    """The next-item loss of every position (T, D), normalised by a constant so that long batches weigh more."""
    items = encoder.item_vectors()
    if loss == "ce":
        total = cross_entropy(position_vectors, items, batch.targets)
    else:
        total = binary_cross_entropy(position_vectors, items, batch.targets, batch.negatives)
    return total / batch.mean_targets
