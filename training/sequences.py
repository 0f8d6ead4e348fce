"""Which part of every user's sequence trains, validates and tests.

Leave-one-out: the last item tests, the one before validates. Temporal: what happened after the cut is never trained on;
of each user with items after the cut the last one tests, and the last item before the cut validates. Rest: the
same with a cut in each sequence, after its first part.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.prepared import PreparedDataset

Integers = NDArray[np.int64]
SplitName = Literal["validation", "test"]
SPLITS: tuple[SplitName, ...] = ("validation", "test")
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

    def pairs(self, distance: int) -> tuple[Integers, Integers]:
        """The rows of any two items of a sequence `distance` steps apart, the older first; not after `newest`."""
        owners = np.repeat(np.arange(len(self)), self.lengths)
        together = owners[:-distance] == owners[distance:]
        return self.rows[:-distance][together], self.rows[distance:][together]

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

    def spaced(self, count: int | None) -> "Split":
        """As many of its users, evenly spaced; all of them for None or where there are fewer."""
        if count is None or count >= len(self.targets):
            return self
        chosen = np.linspace(0, len(self.targets) - 1, count).astype(np.int64)
        its = self.histories
        histories = Sequences(its.rows, its.starts[chosen], its.lengths[chosen])
        return Split(self.name, self.users[chosen], histories, self.targets[chosen])


def training_sequences(data: PreparedDataset) -> Sequences:
    """What is before each user's held-out items; all items of a user too short to be evaluated.

    The rows are a copy without the held-out items, so that none can reach a training batch. Users without training
    items, whom holdouts with a cut can have, are the dataset's last and have no sequence here.
    """
    lengths = np.diff(data.offsets)
    if data.before_cut is None:
        kept = np.where(lengths >= SHORTEST_EVALUATED, lengths - 2, lengths)
    else:
        kept = np.where(data.before_cut >= 2, data.before_cut - 1, data.before_cut)
    position = np.arange(len(data.rows)) - np.repeat(data.offsets[:-1], lengths)
    rows = data.rows[position < np.repeat(kept, lengths)].astype(np.int64)
    kept = kept[kept > 0].astype(np.int64)
    return Sequences(rows, np.cumsum(kept) - kept, kept)


def held_out(data: PreparedDataset, name: SplitName) -> Split:
    """The users of a split, each with the item to find and all items before it. Raises ValueError for no users."""
    lengths = np.diff(data.offsets)
    if data.before_cut is None:
        users, targets = np.flatnonzero(lengths >= SHORTEST_EVALUATED), lengths - (1 if name == "test" else 2)
    elif name == "test":
        users, targets = np.flatnonzero((lengths > data.before_cut) & (lengths >= 2)), lengths - 1
    else:
        users, targets = np.flatnonzero(data.before_cut >= 2), data.before_cut - 1
    if not len(users):
        lacking = _lacking(data, name)
        raise ValueError(f"{data.name} has no {name} split: {lacking}; a longer log or a smaller --core may help")
    starts, before = data.offsets[users].astype(np.int64), targets[users].astype(np.int64)
    rows = data.rows.astype(np.int64)
    return Split(name, users, Sequences(rows, starts, before), rows[starts + before])


def _lacking(data: PreparedDataset, name: SplitName) -> str:
    if data.before_cut is None:
        return f"no user has {SHORTEST_EVALUATED} items, to learn from, to validate and to test"
    return "no user has " + ("two items before the cut" if name == "validation" else "two items, one after the cut")


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
