"""The FAISS indices of a bundle, and the gate on what the item index finds."""

import numpy as np

from service.inference.encoder import Floats
from service.inference.retrieval import VectorIndex, flat_index

RECALL_DEPTH = 20
WANTED_RECALL = 0.98


class RecallError(RuntimeError):
    """The item index misses too many of the true nearest items."""


def item_index(vectors: Floats, queries: Floats) -> tuple[bytes, float]:
    """Item vectors (V, D) and sample queries (N, D) -> serialized index and its recall@20 against exact search."""
    serialized = flat_index(vectors)
    recall = measure_recall(serialized, vectors, queries)
    if recall < WANTED_RECALL:
        raise RecallError(f"the item index finds {recall:.3f} of the true top {RECALL_DEPTH}, wanted {WANTED_RECALL}")
    return serialized, recall


def measure_recall(serialized: bytes, vectors: Floats, queries: Floats) -> float:
    """Share of the exact top 20 that the index returns."""
    depth = min(RECALL_DEPTH, len(vectors))
    found = VectorIndex(serialized, first=0).search(queries, depth)[1]
    exact = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :depth]
    return float(np.mean([len(set(a) & set(b)) / depth for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))
