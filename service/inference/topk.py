"""Scoring, restrictions and top-k of a whole catalogue in one ONNX graph."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from itertools import chain

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.bundle.inputs import Rows
from service.inference.allowed import HIDDEN, Allowed
from service.inference.cooccurrence import Bonus
from service.inference.device import Device
from service.inference.encoder import Floats
from service.inference.session import open_session

INPUTS = ("query_vectors", "penalties", "penalty", "places", "amounts", "k")
OUTPUTS = ("scores", "rows")
SCORES_AT_ONCE = 8 << 20  # of B x V; a larger batch is ranked in parts


class TopK:
    """`topk.onnx`: for B queries the k best of V items, without those that each must not be shown.

    An item's score is the best inner product of its Q query vectors, plus its penalty, plus the amount at its place.
    Exact ties go by item row. Thread-safe.
    """

    def __init__(self, model: bytes, *, items: int, threads: int = 1, device: Device = "cpu") -> None:
        """Raise ValueError for a model of another form."""
        self._session: onnxruntime.InferenceSession = open_session(model, threads=threads, device=device)
        found = tuple(one.name for one in self._session.get_inputs())
        if found != INPUTS:
            raise ValueError(f"topk.onnx must take {INPUTS}, takes {found}")
        self._items = items
        self._unrestricted = np.zeros((1, items), dtype=np.float32)

    def best(
        self,
        query_vectors: Floats,
        k: int,
        excluded: Sequence[AbstractSet[int]],
        allowed: Sequence[Allowed | None] = (),
        bonuses: Sequence[Bonus | None] = (),
    ) -> list[tuple[Floats, Rows]]:
        """(B, Q, D), item rows that each must not get, those that it may, what is added -> scores and item rows.

        Without `allowed`, or with None, every item may come. A list is shorter than k only when nothing else is left.
        """
        at_once = max(1, SCORES_AT_ONCE // self._items)
        found = []
        for start in range(0, len(query_vectors), at_once):
            part = slice(start, start + at_once)
            found += self._ranked(query_vectors[part], k, excluded[part], allowed[part], bonuses[part])
        return found

    def _ranked(
        self,
        query_vectors: Floats,
        k: int,
        excluded: Sequence[AbstractSet[int]],
        allowed: Sequence[Allowed | None],
        bonuses: Sequence[Bonus | None],
    ) -> list[tuple[Floats, Rows]]:
        table, choice = self._penalties(allowed, len(query_vectors))
        hidden = self._places(excluded)
        added = [
            (bonus.rows - 1 + number * self._items, bonus.amounts)
            for number, bonus in enumerate(bonuses)
            if bonus is not None
        ]
        inputs = {
            "query_vectors": np.ascontiguousarray(query_vectors),
            "penalties": table,
            "penalty": choice,
            "places": np.concatenate([hidden, *(places for places, _ in added)]),
            "amounts": np.concatenate([np.full(len(hidden), HIDDEN), *(amounts for _, amounts in added)]),
            "k": np.array([min(k, self._items)], dtype=np.int64),
        }
        scores, rows = self._session.run(OUTPUTS, inputs)
        shown = (scores > HIDDEN).sum(axis=1).tolist()
        return [(scores[number, :count], rows[number, :count]) for number, count in enumerate(shown)]

    def _places(self, excluded: Sequence[AbstractSet[int]]) -> NDArray[np.int64]:
        """Where the excluded rows are among B x V scores laid end to end."""
        counts = [len(rows) for rows in excluded]
        rows = np.fromiter(chain.from_iterable(excluded), dtype=np.int64, count=sum(counts))
        return rows - 1 + np.repeat(np.arange(len(counts)) * self._items, counts)

    def _penalties(self, allowed: Sequence[Allowed | None], batch: int) -> tuple[Floats, NDArray[np.int64]]:
        """A row of zeros and below it the penalties of each different selection; the row of each query."""
        different = list(dict.fromkeys(one for one in allowed if one is not None))
        if not different:
            return self._unrestricted, np.zeros(batch, dtype=np.int64)
        numbers = {one: number for number, one in enumerate(different, start=1)}
        choice = np.array([0 if one is None else numbers[one] for one in allowed], dtype=np.int64)
        return np.vstack([self._unrestricted, *(one.penalties for one in different)]), choice
