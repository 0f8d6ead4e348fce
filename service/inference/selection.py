"""Which of the best-scored items make a list that is not all of one kind."""

import numpy as np
from numpy.typing import NDArray

from service.inference.encoder import Floats

Places = NDArray[np.int64]


def first_of_each(groups: Places, most: int) -> Places:
    """Places, in order, of the first `most` of every group (N); a group below 0 is none and has no limit."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order][:1] - 1))
    rank = np.empty(len(groups), dtype=np.int64)  # how many of its group come before
    rank[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
    return np.flatnonzero((rank < most) | (groups < 0))


def marginally_relevant(scores: Floats, vectors: Floats, k: int, diversity: float) -> Places:
    """Places of k items, each the best by (1 - diversity) relevance - diversity (largest cosine to those before it).

    Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998). Scores (N), best first, are scaled to 0..1 over
    the N candidates; vectors (N, D).
    """
    least, most = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    relevance = (scores - least) / (most - least) if most > least else np.ones_like(scores)
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    likeness = np.full(len(scores), -1, dtype=np.float32)  # to the nearest of those chosen
    chosen: list[int] = []
    for _ in range(min(k, len(scores))):
        value = (1 - diversity) * relevance - diversity * (likeness if chosen else 0)
        value[chosen] = -np.inf
        chosen.append(int(value.argmax()))
        np.maximum(likeness, directions @ directions[chosen[-1]], out=likeness)
    return np.array(chosen, dtype=np.int64)
