"""Training batches as tensor operations on data that stays on the device."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from models.methods.base import Batch, Histories
from models.packing import ragged_arange
from models.proposals import Negatives
from training.distributed import Ranks
from training.sequences import Sequences, head_length

CHUNK_BATCHES = 16  # sequences are grouped by length only inside shuffled chunks of this many batches
NEGATIVE_ROUNDS = 3  # a drawn negative that the user knows is drawn again, this often


class TrainingBatches:
    """Shuffled batches of packed histories with their next items.

    Within a chunk batches are grouped by length, which keeps the attention square small; the loss is normalised by
    the constant `mean_targets`, because a per-batch mean would favour the short sequences. All ranks draw the same
    global batches and each takes its share.
    """

    def __init__(
        self,
        training: Sequences,
        items: int,
        *,
        max_length: int,
        batch_size: int,
        device: torch.device,
        partners: bool = False,
        drawn: Negatives | None = None,
        ranks: Ranks = Ranks(),
    ):
        """Sequences of fewer than two items teach nothing and are left out. Raises ValueError if none is left.

        With `partners` each sequence comes with another history that led to its last target (itself where the
        target occurs once), with `drawn` each batch with item rows from that distribution.
        """
        cut = training.newest(max_length + 1)
        usable = np.flatnonzero(cut.lengths >= 2)
        if len(usable) == 0:
            raise ValueError("no training sequence has two items or more: there is nothing to learn")
        self._rows = torch.from_numpy(cut.rows).to(device)
        self._starts = torch.from_numpy(cut.starts[usable]).to(device)
        self._lengths = torch.from_numpy(cut.lengths[usable] - 1).to(device)  # of the inputs
        self._sequences = torch.from_numpy(usable).to(device)
        self._heads = torch.from_numpy(training.lengths[usable] >= head_length(training.lengths)).to(device)
        self._partners = _PartnerIndex(self._rows, self._starts, self._lengths) if partners else None
        self._drawn = drawn
        self._items = items
        self._batch_size = batch_size
        self._device = device
        self._ranks = ranks
        self._generator = torch.Generator(device=device)
        owners = np.repeat(np.arange(len(training)), training.lengths)
        self._known = torch.from_numpy(np.unique(owners * (items + 1) + training.rows)).to(device)
        self.mean_targets = float(self._lengths.sum()) / len(self) / ranks.world

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self._starts) // self._batch_size)

    def epoch(self, seed: int) -> Iterator[Batch]:
        """One epoch; its order and its draws depend on the seed alone."""
        self._generator.manual_seed(seed)
        shuffled = self._permutation(len(self._starts))
        batches = [
            batch
            for chunk in torch.split(shuffled, CHUNK_BATCHES * self._batch_size)
            for batch in torch.split(chunk[self._lengths[chunk].argsort(stable=True)], self._batch_size)
        ]
        for number in self._permutation(len(batches)).tolist():
            if len(batches[number]) >= self._ranks.world:
                yield self._batch(batches[number])

    def _batch(self, together: Tensor) -> Batch:
        """This rank's share of the global batch; what is drawn is drawn for the whole of it, alike on every rank."""
        mine = self._ranks.share(torch.arange(len(together), device=self._device))
        chosen, lengths = together[mine], self._lengths[together[mine]]
        sequences, places = self._sequences[chosen], ragged_arange(self._starts[chosen], lengths)
        return Batch(
            rows=self._rows[places],
            lengths=lengths,
            targets=self._rows[places + 1],
            negatives=self._negatives(together, mine),
            sequences=sequences,
            heads=self._heads[chosen],
            mean_targets=self.mean_targets,
            partners=self._partners.draw(together, mine, self._generator) if self._partners else None,
            drawn=self._drawn.draw(self._items, self._generator) if self._drawn else None,
        )

    def _negatives(self, together: Tensor, mine: Tensor) -> Tensor:
        """A uniform item row for each position, none of its user's training items (up to the redraw limit)."""
        lengths = self._lengths[together]
        owners = torch.repeat_interleave(self._sequences[together], lengths)
        drawn = self._uniform(owners)
        for _ in range(NEGATIVE_ROUNDS):
            keys = owners * (self._items + 1) + drawn
            found = torch.searchsorted(self._known, keys).clamp(max=len(self._known) - 1)
            drawn = torch.where(self._known[found] == keys, self._uniform(owners), drawn)
        return drawn[ragged_arange((lengths.cumsum(0) - lengths)[mine], lengths[mine])]

    def _uniform(self, like: Tensor) -> Tensor:
        return torch.randint(1, self._items + 1, like.shape, generator=self._generator, device=self._device)

    def _permutation(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self._generator, device=self._device)


class _PartnerIndex:
    """All training positions by their target: who else was led to an item, and by which history."""

    def __init__(self, rows: Tensor, starts: Tensor, lengths: Tensor) -> None:
        self._rows = rows
        self._history_starts = torch.repeat_interleave(starts, lengths)
        self._history_lengths = ragged_arange(torch.ones_like(lengths), lengths)
        targets = rows[self._history_starts + self._history_lengths]
        self._order = targets.argsort(stable=True)
        self._place = torch.empty_like(self._order)
        self._place[self._order] = torch.arange(len(targets), device=rows.device)
        counts = torch.bincount(targets)
        self._group_size = counts[targets]
        self._group_start = (counts.cumsum(0) - counts)[targets]
        self._last = lengths.cumsum(0) - 1  # the last position of each sequence

    def draw(self, together: Tensor, mine: Tensor, generator: torch.Generator) -> Histories:
        """For the last target of each of `mine` in the global batch a uniform other position with that target."""
        drawn = torch.rand(together.shape, generator=generator, device=mine.device, dtype=torch.float64)[mine]
        own = self._last[together[mine]]
        size, start = self._group_size[own], self._group_start[own]
        step = (1 + (drawn * (size - 1)).floor().long()) % size  # a single occurrence stays itself
        found = self._order[start + (self._place[own] - start + step) % size]
        lengths = self._history_lengths[found]
        return Histories(self._rows[ragged_arange(self._history_starts[found], lengths)], lengths)


def packed_batches(
    sequences: Sequences, *, max_length: int, batch_size: int, device: torch.device, ranks: Ranks = Ranks()
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Every sequence (of this rank's share) once, for encoding: (numbers (B), rows (T), lengths (B)), by length."""
    cut = sequences.newest(max_length)
    rows = torch.from_numpy(cut.rows).to(device)
    starts, lengths = torch.from_numpy(cut.starts).to(device), torch.from_numpy(cut.lengths).to(device)
    for numbers in torch.split(lengths.argsort(stable=True)[ranks.rank :: ranks.world], batch_size):
        yield numbers, rows[ragged_arange(starts[numbers], lengths[numbers])], lengths[numbers]
