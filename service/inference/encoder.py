"""The encoder in ONNX Runtime: packed histories -> query vectors and intent weights."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.bundle.inputs import Rows, pack, truncate
from service.inference.device import Device
from service.inference.session import open_session

Floats = NDArray[np.float32]


class Encoding(NamedTuple):
    """What the encoder says of B histories."""

    query_vectors: Floats  # (B, Q, D); zero for an empty history
    intent_weights: Floats  # (B, K), rows sum to 1


class Encoder:
    """`encoder.onnx`. Thread-safe."""

    def __init__(self, model: bytes, *, max_length: int, threads: int = 1, device: Device = "cpu") -> None:
        """Raises what `open_session` does."""
        self._session = open_session(model, threads=threads, device=device)
        self._max_length = max_length

    def encode(self, histories: Sequence[Sequence[int] | Rows]) -> Encoding:
        """B histories of item rows, oldest first; only the newest `max_length` of each are read."""
        rows, lengths = pack([truncate(history, self._max_length) for history in histories])
        return Encoding(*self._session.run(["query_vectors", "intent_weights"], {"rows": rows, "lengths": lengths}))
