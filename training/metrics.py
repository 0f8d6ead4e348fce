"""Accuracy of ranked lists with one relevant item each, and what the lists are made of."""

import numpy as np
from numpy.typing import NDArray

from training.sequences import Integers, head_length

CUTOFFS = (5, 10, 20)
DEPTH = max(CUTOFFS)
Floats = NDArray[np.float64]


def ranks(top_rows: Integers, targets: Integers) -> Integers:
    """Lists (N, DEPTH) and targets (N) -> the place of each target from 1, or 0 where it is not in its list."""
    hits = top_rows == targets[:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0).astype(np.int64)


def hit_rate(found: Integers, k: int) -> Floats:
    """HR@k of each user: 1 if 1 <= rank <= k.

    >>> hit_rate(np.array([1, 6, 0]), 5).tolist()
    [1.0, 0.0, 0.0]
    """
    return ((found >= 1) & (found <= k)).astype(np.float64)


def ndcg(found: Integers, k: int) -> Floats:
    """NDCG@k of each user: 1 / log2(rank + 1) within k.

    >>> ndcg(np.array([1, 3, 0]), 5).tolist()
    [1.0, 0.5, 0.0]
    """
    discount: Floats = np.log2(np.maximum(found, 1) + 1)
    return np.asarray(hit_rate(found, k) / discount)


def reciprocal_rank(found: Integers, k: int) -> Floats:
    """MRR@k of each user: 1 / rank within k.

    >>> reciprocal_rank(np.array([1, 4, 0]), 5).tolist()
    [1.0, 0.25, 0.0]
    """
    return hit_rate(found, k) / np.maximum(found, 1)


def accuracy(found: Integers) -> dict[str, float]:
    """HR, NDCG and MRR at every cutoff, averaged over the users."""
    measures = {"HR": hit_rate, "NDCG": ndcg, "MRR": reciprocal_rank}
    return {f"{name}@{k}": float(measure(found, k).mean()) for name, measure in measures.items() for k in CUTOFFS}


def head_and_tail(found: Integers, lengths: Integers) -> dict[str, float]:
    """The accuracy of the longest fifth of the sequences and of the rest, as `head/...` and `tail/...`."""
    head = lengths >= head_length(lengths)
    parts = {"head": found[head], "tail": found[~head]}
    return {f"{part}/{name}": value for part, its in parts.items() if len(its) for name, value in accuracy(its).items()}


def composition(top_rows: Integers, counts: Integers) -> dict[str, float]:
    """What is recommended in the top DEPTH: catalogue coverage, Gini of exposure, mean training count of an item.

    `counts` (V) are training interactions; rows of 0 mark places that could not be filled.
    """
    shown = top_rows[top_rows > 0]
    exposure = np.bincount(shown, minlength=len(counts) + 1)[1:]
    return {
        f"coverage@{DEPTH}": float((exposure > 0).mean()),
        f"gini@{DEPTH}": gini(exposure),
        f"mean_popularity@{DEPTH}": float(counts[shown - 1].mean()) if len(shown) else 0.0,
    }


def gini(exposure: Integers) -> float:
    """0 when every item is shown equally often, towards 1 when few take all.

    >>> gini(np.array([1, 1, 1, 1])), gini(np.array([0, 0, 0, 4]))
    (0.0, 0.75)
    """
    ordered, size = np.sort(exposure).astype(np.float64), len(exposure)
    if ordered.sum() == 0:
        return 0.0
    return float((2 * np.arange(1, size + 1) - size - 1) @ ordered / (size * ordered.sum()))


def evaluate_lists(top_rows: Integers, targets: Integers, lengths: Integers, counts: Integers) -> dict[str, float]:
    """Every metric of one split: lists (N, DEPTH), targets (N), history lengths (N), training counts (V)."""
    found = ranks(top_rows, targets)
    return accuracy(found) | head_and_tail(found, lengths) | composition(top_rows, counts)
