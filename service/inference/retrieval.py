"""FAISS indices: from query vectors to the best item rows, from an item or intent to its neighbours."""

import faiss
import numpy as np

from service.bundle.inputs import Rows
from service.inference.allowed import Allowed
from service.inference.encoder import Floats


class VectorIndex:
    """An inner-product index whose vector i stands for number `first + i` (item rows start at 1, intents at 0)."""

    def __init__(self, serialized: bytes, *, first: int) -> None:
        """`serialized` is trusted: its digest was checked. Raises ValueError unless the metric is inner product."""
        self._index = faiss.deserialize_index(np.frombuffer(serialized, dtype=np.uint8))
        if self._index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise ValueError("the index must rank by inner product")
        self._first = first

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """D, the length of one vector."""
        return int(self._index.d)

    def search(self, queries: Floats, depth: int, among: Allowed | None = None) -> tuple[Floats, Rows]:
        """(N, D) -> scores (N, depth) and numbers (N, depth), best first; `depth` is capped at what there is.

        With `among`, the same for all queries, nothing else is found.
        """
        if among is None:
            scores, positions = self._index.search(np.ascontiguousarray(queries), min(depth, len(self)))
        else:
            chosen = faiss.SearchParameters(sel=faiss.IDSelectorBatch(among.places))  # type: ignore[call-arg]
            depth = min(depth, len(among.places))
            scores, positions = self._index.search(np.ascontiguousarray(queries), depth, params=chosen)
        return scores, positions + self._first

    def vector(self, number: int) -> Floats:
        """The vector (D) of one item row or intent."""
        return np.asarray(self._index.reconstruct(number - self._first), dtype=np.float32)

    def vectors_of(self, numbers: Rows) -> Floats:
        """The vectors (N, D) of some item rows or intents."""
        return np.asarray(self._index.reconstruct_batch(numbers - self._first), dtype=np.float32)

    def vectors(self) -> Floats:
        """All vectors (N, D) in order."""
        return np.asarray(self._index.reconstruct_n(0, len(self)), dtype=np.float32)


def flat_index(vectors: Floats) -> bytes:
    """Serialize an exact inner-product index over (N, D) vectors."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return bytes(faiss.serialize_index(index).tobytes())


def set_threads(threads: int) -> None:
    """How many threads one FAISS search may use, for the whole process."""
    faiss.omp_set_num_threads(threads)
