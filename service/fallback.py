"""What to show when there is nothing to go by: the popular items."""

from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from service.inference.allowed import Allowed
from service.inference.recommender import Ranking


class PopularItems:
    """Items by training interactions, most first; ties by item row. The score is the share of all interactions."""

    def __init__(self, popularity: NDArray[np.int64]) -> None:
        self._rows: list[int] = (np.argsort(-popularity, kind="stable") + 1).tolist()
        self._shares = (popularity / max(int(popularity.sum()), 1)).astype(np.float32)

    def rank(
        self, k: int, excluded: AbstractSet[int], allowed: Allowed | None = None, first: Allowed | None = None
    ) -> Ranking:
        """The k most popular items that are allowed and not excluded; those in `first` come before all others."""
        chosen: list[int] = []
        for wanted in (None,) if first is None else (True, False):
            for row in self._rows:
                if len(chosen) == k:
                    break
                if row in excluded or not (allowed is None or allowed.mask[row - 1]):
                    continue
                if first is None or first.mask[row - 1] == wanted:
                    chosen.append(row)
        rows = np.array(chosen, dtype=np.int64)
        return Ranking(rows=rows, scores=self._shares[rows - 1])
