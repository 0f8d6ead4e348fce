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

    def rank(self, k: int, excluded: AbstractSet[int], allowed: Allowed | None = None) -> Ranking:
        """The k most popular items that are allowed and not excluded."""
        chosen: list[int] = []
        for row in self._rows:
            if row not in excluded and (allowed is None or allowed.mask[row - 1]):
                chosen.append(row)
                if len(chosen) == k:
                    break
        rows = np.array(chosen, dtype=np.int64)
        return Ranking(rows=rows, scores=self._shares[rows - 1])
