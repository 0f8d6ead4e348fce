"""What to show when there is nothing to go by: the popular items."""

from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from service.inference.allowed import Allowed
from service.inference.recommender import Ranking


class PopularItems:
    """Items by training interactions, most first; ties by item row. The score is the share of all interactions."""

    def __init__(self, popularity: NDArray[np.int64]) -> None:
        self._rows = np.argsort(-popularity, kind="stable") + 1
        self._shares = (popularity / max(int(popularity.sum()), 1)).astype(np.float32)

    def rank(
        self, k: int, excluded: AbstractSet[int], allowed: Allowed | None = None, first: Allowed | None = None
    ) -> Ranking:
        """The k most popular items that are allowed and not excluded; those in `first` come before all others."""
        places = [allowed] if first is None else [first.within(allowed), first.others().within(allowed)]
        chosen = np.empty(0, dtype=np.int64)
        for place in places:
            rows = self._rows if place is None else self._rows[place.mask[self._rows - 1]]
            shown = [row for row in rows[: k + len(excluded)].tolist() if row not in excluded]
            chosen = np.append(chosen, np.array(shown, dtype=np.int64))[:k]
        return Ranking(rows=chosen, scores=self._shares[chosen - 1])
