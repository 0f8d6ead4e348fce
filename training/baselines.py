"""Two baselines without learning: popularity, and co-occurrence with recency decay."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from training.evaluation import BATCH, SCORES_AT_ONCE
from training.metrics import DEPTH
from training.sequences import Integers, Sequences, Split

SEEN_EXPONENT, SHOWN_EXPONENT = 0.5, 0.2
BACKWARD = 0.5  # weight of a pair against its order in time
DECAY = 0.7  # of an item's weight, from one item of the history to the one before

# (training sequences, number of items, split) -> item rows (N, DEPTH), best first, a history's own left out, 0 for none
Baseline = Callable[[Sequences, int, Split], Integers]


def popularity(training: Sequences, items: int, split: Split) -> Integers:
    """Every history gets the items in order of their training counts."""
    longest = int(split.histories.lengths.max(initial=0))
    candidates = by_count(training, items)[: DEPTH + longest]
    lists = np.zeros((len(split.targets), DEPTH), dtype=np.int64)
    for number, found in enumerate(lists):
        kept = candidates[~np.isin(candidates, split.histories[number])][:DEPTH]
        found[: len(kept)] = kept
    return lists


def cooccurrence(training: Sequences, items: int, split: Split, *, window: int = 50, decay: float = DECAY) -> Integers:
    """Neighbours of what was seen, the newest first: score(j) = sum_i decay^age(i) w(i, j); ties by training count.

    w(i, j) = sum over training pairs at most `window` apart of 1 / sqrt(distance), half of it where j came before i,
    divided by count_i^.5 count_j^.2. The exponents were chosen on Beauty's validation split.
    """
    left, right, values = cooccurrences(training, items, window=window)
    neighbours = torch.sparse_coo_tensor(  # (V, V), row j holding w(., j)
        torch.from_numpy(np.stack([right, left])), torch.from_numpy(values), (items, items), check_invariants=False
    ).coalesce()
    order = by_count(training, items)
    places = torch.from_numpy(order - 1)
    lists = np.zeros((len(split.targets), DEPTH), dtype=np.int64)
    at_once = max(1, min(BATCH, SCORES_AT_ONCE // items))
    for start in range(0, len(lists), at_once):
        histories = [split.histories[number] for number in range(start, min(start + at_once, len(lists)))]
        ages = np.concatenate([np.arange(len(history))[::-1] for history in histories])
        owners = torch.from_numpy(np.repeat(np.arange(len(histories)), [len(history) for history in histories]))
        seen_rows = torch.from_numpy(np.concatenate(histories)) - 1
        seen = torch.zeros(items, len(histories))
        seen.index_put_((seen_rows, owners), torch.from_numpy(decay ** ages.astype(np.float32)), accumulate=True)
        scores = torch.sparse.mm(neighbours, seen).T.contiguous()
        scores[owners, seen_rows] = float("-inf")
        found = scores[:, places].sort(dim=1, descending=True, stable=True).indices[:, :DEPTH]
        lists[start : start + len(histories), : found.shape[1]] = order[found.numpy()]
    return lists


def by_count(training: Sequences, items: int) -> Integers:
    """All item rows by falling training count.

    Ties in a drawn order: that of the rows, numbered by the counts of the whole log, knows what is held out.
    """
    counts = np.bincount(training.rows, minlength=items + 1)[1:]
    rows: Integers = np.lexsort((np.random.default_rng(0).permutation(items), -counts)) + 1
    return rows


BASELINES: dict[str, Baseline] = {"popularity": popularity, "cooccurrence": cooccurrence}


def cooccurrences(
    training: Sequences, items: int, *, window: int = 50
) -> tuple[Integers, Integers, NDArray[np.float32]]:
    """Places i, places j and w(i, j) of every pair that occurs, by i and then j; the first item's place is 0."""
    keys, weights = zip(*_pairs(training, items, window), strict=True)
    pairs, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    summed = np.bincount(inverse, weights=np.concatenate(weights))
    counts = np.bincount(training.rows, minlength=items + 1)[1:]
    left, right = pairs // items, pairs % items
    values = summed / (counts[left] ** SEEN_EXPONENT * counts[right] ** SHOWN_EXPONENT)
    return left, right, values.astype(np.float32)


def _pairs(training: Sequences, items: int, window: int) -> Iterator[tuple[Integers, np.ndarray]]:
    """For each distance, the pairs (i, j) and (j, i) of different items as keys i * V + j, with their weights."""
    for distance in range(1, window + 1):
        left, right = (rows - 1 for rows in training.pairs(distance))
        left, right = left[different := left != right], right[different]
        keys = np.concatenate([left * items + right, right * items + left])
        forward = np.full(len(left), distance**-0.5)
        yield keys, np.concatenate([forward, BACKWARD * forward])
