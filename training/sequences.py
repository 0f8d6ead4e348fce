"""Leave-one-out: which part of every user's sequence trains, validates and tests."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.prepared import PreparedDataset

Integers = NDArray[np.int64]
SplitName = Literal["validation", "test"]
HEAD_SHARE = 0.2  # S4Rec: the longest fifth of the sequences is the head
SHORTEST_EVALUATED = 3  # one item to learn from, one to validate, one to test


@dataclass(frozen=True)
class Sequences:
    """N sequences of item rows laid end to end."""

    rows: Integers  # all rows
    starts: Integers  # (N)
    lengths: Integers  # (N)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> Integers:
        start = self.starts[number]
        return self.rows[start : start + self.lengths[number]]

    def newest(self, max_length: int) -> "Sequences":
        """The same sequences, each cut to its newest items."""
        kept = np.minimum(self.lengths, max_length)
        return Sequences(self.rows, self.starts + self.lengths - kept, kept)


@dataclass(frozen=True)
class Split:
    """Histories to ask with and the item each should find."""

    name: SplitName
    users: Integers  # (N) which users of the dataset
    histories: Sequences  # (N)
    targets: Integers  # (N) item rows


def training_sequences(data: PreparedDataset) -> Sequences:
    """Everything but the last two items of a user; all items of a user too short to be evaluated.

    The rows are a copy without the held-out items, so that none can reach a training batch.
    """
    lengths = np.diff(data.offsets)
    kept = np.where(lengths >= SHORTEST_EVALUATED, lengths - 2, lengths)
    position = np.arange(len(data.rows)) - np.repeat(data.offsets[:-1], lengths)
    rows = data.rows[position < np.repeat(kept, lengths)].astype(np.int64)
    return Sequences(rows, np.concatenate([[0], np.cumsum(kept)[:-1]]).astype(np.int64), kept.astype(np.int64))


def held_out(data: PreparedDataset, name: SplitName) -> Split:
    """Test: the last item after all before it. Validation: the second-last after all before it."""
    back = 1 if name == "test" else 2
    lengths = np.diff(data.offsets)
    users = np.flatnonzero(lengths >= SHORTEST_EVALUATED)
    starts, lengths = data.offsets[users].astype(np.int64), lengths[users].astype(np.int64) - back
    rows = data.rows.astype(np.int64)
    return Split(name, users, Sequences(rows, starts, lengths), rows[starts + lengths])


def training_counts(training: Sequences, items: int) -> Integers:
    """How often each item row (1..V) occurs in training: (V)."""
    return np.bincount(training.rows, minlength=items + 1)[1:].astype(np.int64)


def head_length(lengths: Integers) -> int:
    """The length from which sequences count as head: the one whose share comes closest to a fifth."""
    candidates = np.unique(lengths)
    shares = np.array([(lengths >= length).mean() for length in candidates])
    return int(candidates[np.abs(shares - HEAD_SHARE).argmin()])


def with_noise(training: Sequences, items: int, share: float, seed: int) -> Sequences:
    """The same sequences with a share of all their items replaced by uniform random ones (DSSRec, section 4.3)."""
    generator = np.random.default_rng(seed)
    replaced = generator.permutation(len(training.rows)) < round(share * len(training.rows))
    drawn = generator.integers(1, items + 1, len(training.rows))
    return Sequences(np.where(replaced, drawn, training.rows), training.starts, training.lengths)
