"""What was taken together with the items of a history: a bonus on the encoder's scores."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.bundle.inputs import Rows
from service.inference.encoder import Floats

NEWEST = 20  # items of a history that count; older ones weigh less than a thousandth at a decay of .7


class Bonus(NamedTuple):
    """Item rows (N), which may repeat, and what each adds to its item's score (N)."""

    rows: Rows
    amounts: Floats


class Neighbours(NamedTuple):
    """The neighbours of each item, one item after the other: those of row i are starts[i - 1] .. starts[i]."""

    starts: NDArray[np.int64]  # (V + 1)
    rows: NDArray[np.int32]
    weights: Floats


class Cooccurrence:
    """`cooccurrence.npz`. Thread-safe."""

    def __init__(self, content: bytes, *, items: int, weight: float, decay: float) -> None:
        """`weight` is the bundle's own. Raises ValueError unless there are neighbours of all `items`."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            self._neighbours = Neighbours(arrays["starts"], arrays["rows"], arrays["weights"])
        starts, rows, weights = self._neighbours
        if len(starts) != items + 1 or starts[-1] != len(rows) or len(rows) != len(weights):
            raise ValueError(f"cooccurrence.npz must hold the neighbours of {items} items")
        self._weight = weight
        self._decays = decay ** np.arange(NEWEST, dtype=np.float32)

    def bonus(self, history: Sequence[int] | Rows, weight: float | None = None) -> Bonus | None:
        """score(j) = weight x sum_i decay^age(i) w(i, j) over the newest items i; None where it is nothing.

        Without `weight`, the bundle's.
        """
        weight = self._weight if weight is None else weight
        newest = np.asarray(history, dtype=np.int64)[: -NEWEST - 1 : -1]  # the newest first: its place is its age
        if weight == 0 or not len(newest):
            return None
        starts, rows, weights = self._neighbours
        first, counts = starts[newest - 1], starts[newest] - starts[newest - 1]
        places = np.arange(counts.sum()) + np.repeat(first - counts.cumsum() + counts, counts)
        factors = np.repeat(np.float32(weight) * self._decays[: len(newest)], counts)
        return Bonus(rows[places].astype(np.int64), weights[places] * factors)


def neighbours_npz(neighbours: Neighbours) -> bytes:
    """The file of a bundle."""
    buffer = io.BytesIO()
    np.savez(buffer, **neighbours._asdict())
    return buffer.getvalue()
