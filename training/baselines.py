"""Two baselines without learning: popularity, and co-occurrence with recency decay."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.evaluation import BATCH
from training.metrics import DEPTH
from training.sequences import Integers, Sequences, Split

SEEN_EXPONENT, SHOWN_EXPONENT = 0.5, 0.2
BACKWARD = 0.5  # weight of a pair against its order in time
DECAY = 0.7  # of an item's weight, from one item of the history to the one before

# (histories) -> scores (B, V): higher is better
Scorer = Callable[[list[Integers]], Tensor]


def popularity(training: Sequences, items: int) -> Scorer:
    """Every history gets the items in order of their training counts."""
    counts = torch.from_numpy(np.bincount(training.rows, minlength=items + 1)[1:]).float()
    return lambda histories: counts.expand(len(histories), -1).clone()


def cooccurrence(training: Sequences, items: int, *, window: int = 50, decay: float = DECAY) -> Scorer:
    """Neighbours of what was seen, the newest first: score(j) = sum_i decay^age(i) w(i, j).

    w(i, j) = sum over training pairs at most `window` apart of 1 / sqrt(distance), half of it where j came before i,
    divided by count_i^.5 count_j^.2. The exponents were chosen on Beauty's validation split.
    """
    left, right, values = cooccurrences(training, items, window=window)
    neighbours = torch.sparse_coo_tensor(  # (V, V), row j holding w(., j)
        torch.from_numpy(np.stack([right, left])), torch.from_numpy(values), (items, items), check_invariants=False
    ).coalesce()

    def score(histories: list[Integers]) -> Tensor:
        ages = np.concatenate([np.arange(len(history))[::-1] for history in histories])
        owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
        seen = torch.zeros(items, len(histories))
        weights = torch.from_numpy(decay ** ages.astype(np.float32))
        seen.index_put_(
            (torch.from_numpy(np.concatenate(histories)) - 1, torch.from_numpy(owners)), weights, accumulate=True
        )
        scores: Tensor = torch.sparse.mm(neighbours, seen)
        return scores.T.contiguous()

    return score


BASELINES: dict[str, Callable[[Sequences, int], Scorer]] = {"popularity": popularity, "cooccurrence": cooccurrence}


def top_rows_of_baseline(scorer: Scorer, split: Split) -> Integers:
    """The best DEPTH item rows for each history (N, DEPTH), its own items left out; ties go by item row."""
    lists = np.zeros((len(split.targets), DEPTH), dtype=np.int64)
    for start in range(0, len(lists), BATCH):
        numbers = range(start, min(start + BATCH, len(lists)))
        histories = [split.histories[number] for number in numbers]
        scores = scorer(histories)
        for place, history in enumerate(histories):
            scores[place, torch.from_numpy(history - 1)] = float("-inf")
        found = scores.sort(dim=1, descending=True, stable=True).indices[:, :DEPTH]
        lists[start : start + len(histories), : found.shape[1]] = (found + 1).numpy()
    return lists


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
