"""The item index of a bundle, exact or not, and the gate on what it finds."""

from math import isqrt
from typing import Any

import faiss
import numpy as np

from service.inference.encoder import Floats
from service.inference.retrieval import VectorIndex, flat_index, serialized

LARGEST_EXACT = 200_000  # items; more are searched in part
RECALL_DEPTH = 20
WANTED_RECALL = 0.98
POINTS_PER_LIST = 64  # that K-means sees
AT_ONCE = 64  # queries compared with every vector


class RecallError(RuntimeError):
    """The item index misses too many of the true nearest items."""


def item_index(vectors: Floats, queries: Floats, *, largest_exact: int = LARGEST_EXACT) -> tuple[bytes, float]:
    """Item vectors (V, D) and sample queries (N, D) -> serialized index and its recall@20 against exact search.

    A catalogue of more than `largest_exact` items gets an inverted index that looks at as few lists as half of the
    queries need; the other half is the gate. Raises RecallError.
    """
    if len(vectors) <= largest_exact:
        index, asked = flat_index(vectors), queries
    else:
        index, asked = _inverted_index(vectors, queries[::2]), queries[1::2]
    recall = measure_recall(index, vectors, asked)
    if recall < WANTED_RECALL:
        raise RecallError(f"the item index finds {recall:.3f} of the true top {RECALL_DEPTH}, wanted {WANTED_RECALL}")
    return index, recall


def measure_recall(index: bytes, vectors: Floats, queries: Floats) -> float:
    """Share of the exact top 20 that the index returns; an item that scores as the last of them is as good."""
    found = VectorIndex(index, first=0)
    depth = min(RECALL_DEPTH, len(vectors))
    return float(np.mean([_recall(found, vectors, queries[at : at + AT_ONCE], depth) for at in _starts(queries)]))


def _recall(index: VectorIndex, vectors: Floats, queries: Floats, depth: int) -> float:
    exact = queries @ vectors.T
    last = np.partition(exact, -depth, axis=1)[:, -depth]
    scores = np.take_along_axis(exact, index.search(queries, depth)[1], axis=1)
    return float((scores >= last[:, None] - 1e-6 * np.abs(last[:, None])).mean())


def _starts(queries: Floats) -> range:
    return range(0, len(queries), AT_ONCE)


def _inverted_index(vectors: Floats, queries: Floats) -> bytes:
    """Lists around 2 sqrt(V) centres; as many of them are looked at, in powers of two, as the recall asks for."""
    lists = 2 * isqrt(len(vectors))
    index: Any = faiss.index_factory(vectors.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = POINTS_PER_LIST
    index.train(vectors)
    index.add(vectors)
    index.nprobe = 1
    margin = (1 + WANTED_RECALL) / 2  # the other half of the queries may be harder
    while measure_recall(serialized(index), vectors, queries) < margin and index.nprobe < lists:
        index.nprobe = min(2 * index.nprobe, lists)
    return serialized(index)
