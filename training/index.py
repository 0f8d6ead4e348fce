"""The item index of a bundle, exact or not, and the gate on what it finds."""

from math import isqrt
from typing import Any

import faiss
import numpy as np

from service.bundle.inputs import Rows
from service.inference.encoder import Floats
from service.inference.retrieval import VectorIndex, flat_index, serialized

LARGEST_EXACT = 200_000  # items; more are searched in part
RECALL_DEPTH = 20
WANTED_RECALL = 0.98
MARGIN = (1 - WANTED_RECALL) / 2  # the queries to come may be harder
CHOOSING, HELD_OUT = slice(0, None, 2), slice(1, None, 2)  # queries
POINTS_PER_LIST = 64  # that K-means sees
AT_ONCE = 64  # queries compared with every vector


class RecallError(ValueError):
    """The item index misses too many of the true nearest items."""


def item_index(vectors: Floats, queries: Floats, *, largest_exact: int = LARGEST_EXACT) -> tuple[bytes, float]:
    """Item vectors (V, D) and sample queries (N, D) -> serialized index and its recall@20 against exact search.

    A catalogue of more than `largest_exact` items gets an inverted index that looks at as few lists as one half of the
    queries needs. The recall is that of the other half, and while it is too low there, more lists are looked at.
    Raises RecallError.
    """
    worst = _worst_of_best(vectors, queries)
    exact = len(vectors) <= largest_exact
    index = flat_index(vectors) if exact else _inverted_index(vectors, queries, worst)
    asked = slice(None) if exact else HELD_OUT
    _, found = VectorIndex(index, first=0).search(queries[asked], RECALL_DEPTH)
    if (recall := _recall(found, vectors, queries[asked], worst[asked])) < WANTED_RECALL:
        raise RecallError(f"the item index finds {recall:.3f} of the true top {RECALL_DEPTH}, wanted {WANTED_RECALL}")
    return index, recall


def _worst_of_best(vectors: Floats, queries: Floats) -> Floats:
    """Each query's score (N) of the last of its true top 20."""
    depth = min(RECALL_DEPTH, len(vectors))
    starts = range(0, len(queries), AT_ONCE)
    return np.concatenate(
        [np.partition(queries[at : at + AT_ONCE] @ vectors.T, -depth, axis=1)[:, -depth] for at in starts]
    )


def _recall(found: Rows, vectors: Floats, queries: Floats, worst: Floats) -> float:
    """Share of the true top 20 among what was found (N, 20), -1 for nothing.

    As good is what scores as their last, up to the rounding of a sum of products in single precision.
    """
    scores = np.einsum("nd,nkd->nk", queries, vectors[found])
    return float(((found >= 0) & (scores >= (worst - 1e-5 * np.abs(worst))[:, None])).mean())


def _inverted_index(vectors: Floats, queries: Floats, worst: Floats) -> bytes:
    """Lists around 2 sqrt(V) centres; half as many more of them are looked at until the recall is what is asked.

    The lists are K-means clusters by Euclidean distance: hardly trained items, short vectors in all directions, then
    share a few lists that no query looks into, where FAISS's own, by angle, would spread them over all. A query looks
    where its inner product with the centre is largest.
    """
    lists, dimensions = 2 * isqrt(len(vectors)), vectors.shape[1]
    nearest: Any = faiss.IndexFlatL2(dimensions)
    clustering: Any = faiss.Clustering(dimensions, lists)
    clustering.max_points_per_centroid = POINTS_PER_LIST
    clustering.train(vectors, nearest)
    centres: Any = faiss.IndexFlatIP(dimensions)
    centres.add(nearest.reconstruct_n(0, lists))
    list_of = nearest.search(vectors, 1)[1]
    index: Any = faiss.IndexIVFFlat(centres, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
    index.add_core(len(vectors), faiss.swig_ptr(vectors), None, faiss.swig_ptr(list_of))
    index.nprobe = 1

    def misses(asked: slice, wanted: float) -> bool:
        found = index.search(queries[asked], RECALL_DEPTH)[1]
        return _recall(found, vectors, queries[asked], worst[asked]) < wanted

    while index.nprobe < lists and (misses(CHOOSING, 1 - MARGIN) or misses(HELD_OUT, WANTED_RECALL)):
        index.nprobe = min(index.nprobe + 1 + index.nprobe // 2, lists)
    return serialized(index)
