"""FAISS indices: from query vectors to the best item rows, from an item or intent to its neighbours."""

from typing import Any

import faiss
import numpy as np

from service.bundle.inputs import Rows
from service.inference.allowed import Allowed
from service.inference.encoder import Floats

FEW = 20_000  # vectors that are compared one by one rather than searched
MORE = 4  # times as many lists, when those looked at held too few vectors


class VectorIndex:
    """An inner-product index whose vector i stands for number `first + i` (item rows start at 1, intents at 0).

    Flat, which is exact, or IVF, which looks at the most promising lists of vectors and at more where that is too few.
    """

    def __init__(self, serialized: bytes, *, first: int) -> None:
        """`serialized` is trusted: its digest was checked. Raises ValueError unless the metric is inner product."""
        self._index = faiss.deserialize_index(np.frombuffer(serialized, dtype=np.uint8))
        if self._index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise ValueError("the index must rank by inner product")
        self._lists, self._probes = 1, 1
        if isinstance(self._index, faiss.IndexIVF):
            self._lists, self._probes = self._index.nlist, self._index.nprobe
            self._index.make_direct_map()  # to find a vector by its number
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
        queries = np.ascontiguousarray(queries)
        if among is None:
            scores, positions = self._search(queries, min(depth, len(self)), None)
        elif len(among.places) <= FEW:
            scores, positions = self._search_few(queries, min(depth, len(among.places)), among.places)
        else:
            selector = faiss.IDSelectorBitmap(among.bits)  # type: ignore[call-arg, arg-type]  # the binding counts
            scores, positions = self._search(queries, min(depth, len(among.places)), selector)
        return scores, positions + self._first

    def _search(self, queries: Floats, depth: int, selector: faiss.IDSelector | None) -> tuple[Floats, Rows]:
        """In as many lists as it takes to find `depth` vectors for every query."""
        probes = self._probes
        while True:
            scores, positions = self._index.search(queries, depth, params=self._parameters(probes, selector))
            if probes == self._lists or (positions >= 0).all():
                return scores, positions
            probes = min(MORE * probes, self._lists)

    def _parameters(self, probes: int, selector: faiss.IDSelector | None) -> faiss.SearchParameters:
        chosen: dict[str, Any] = {} if selector is None else {"sel": selector}
        if self._lists == 1:
            return faiss.SearchParameters(**chosen)
        return faiss.SearchParametersIVF(nprobe=probes, **chosen)  # type: ignore[call-arg]

    def _search_few(self, queries: Floats, depth: int, places: Rows) -> tuple[Floats, Rows]:
        """Exactly, without the index; ties go by place."""
        scores = queries @ self.vectors_of(places + self._first).T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        return np.take_along_axis(scores, best, axis=1), places[best]

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
    return serialized(index)


def serialized(index: faiss.Index) -> bytes:
    """As a bundle holds it."""
    return bytes(faiss.serialize_index(index).tobytes())


def set_threads(threads: int) -> None:
    """How many threads one FAISS search may use, for the whole process."""
    faiss.omp_set_num_threads(threads)
