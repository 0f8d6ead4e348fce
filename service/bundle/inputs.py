"""Histories as the encoder takes them: truncated to the newest items and packed end to end."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def truncate(history: Sequence[int] | Rows, max_length: int) -> Rows:
    """The newest `max_length` item rows of one history, oldest first."""
    return np.asarray(history, dtype=np.int64)[-max_length:]


def pack(histories: Sequence[Sequence[int] | Rows]) -> tuple[Rows, Rows]:
    """Lay B histories end to end -> item rows (T) and lengths (B); an empty history has length 0."""
    lengths = np.array([len(history) for history in histories], dtype=np.int64)
    filled = [np.asarray(history, dtype=np.int64) for history in histories if len(history)]
    return (np.concatenate(filled) if filled else np.empty(0, dtype=np.int64)), lengths
