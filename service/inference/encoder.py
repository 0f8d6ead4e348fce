"""The encoder in ONNX Runtime: packed histories -> query vectors and intent weights."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.bundle.inputs import Rows, pack, truncate

Floats = NDArray[np.float32]

# How an ONNX tensor points at a file outside the model: its `external_data` entry with the key "location".
_EXTERNAL_DATA = b"\x0a\x08location\x12"


class Encoding(NamedTuple):
    """What the encoder says of B histories."""

    query_vectors: Floats  # (B, Q, D); zero for an empty history
    intent_weights: Floats  # (B, K), rows sum to 1


class Encoder:
    """One ONNX session; `threads` is set explicitly because the runtime's own guess oversubscribes containers."""

    def __init__(self, model: bytes, *, max_length: int, threads: int = 1, providers: Sequence[str] = ()) -> None:
        """Raise ValueError for a model with data outside its file, RuntimeError if a wanted provider is absent."""
        if _EXTERNAL_DATA in model:
            raise ValueError("the ONNX model keeps data outside its file: a bundle's encoder is a single file")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        wanted = list(providers) or ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(model, options, providers=wanted)
        if wanted[0] not in self._session.get_providers():
            raise RuntimeError(f"ONNX Runtime has no {wanted[0]}: install the extra `gpu` or choose the CPU")
        self._max_length = max_length

    def encode(self, histories: Sequence[Sequence[int] | Rows]) -> Encoding:
        """B histories of item rows, oldest first; only the newest `max_length` of each are read."""
        rows, lengths = pack([truncate(history, self._max_length) for history in histories])
        return Encoding(*self._session.run(["query_vectors", "intent_weights"], {"rows": rows, "lengths": lengths}))
