"""Training batches as tensor operations on data that stays on the device."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from models.methods.base import Batch
from models.packing import ragged_arange
from training.sequences import Sequences

CHUNK_BATCHES = 16  # sequences are grouped by length only inside shuffled chunks of this many batches
NEGATIVE_ROUNDS = 3  # a drawn negative that the user knows is drawn again, this often


class TrainingBatches:
    """Shuffled batches of packed histories with their next items.

    Within a chunk batches are grouped by length, which keeps the attention square small; the loss is normalised by
    the constant `mean_targets`, because a per-batch mean would favour the short sequences.
    """

    def __init__(self, training: Sequences, items: int, *, max_length: int, batch_size: int, device: torch.device):
        """Sequences of fewer than two items teach nothing and are left out. Raises ValueError if none is left."""
        cut = training.newest(max_length + 1)
        usable = np.flatnonzero(cut.lengths >= 2)
        if len(usable) == 0:
            raise ValueError("no training sequence has two items or more: there is nothing to learn")
        self._rows = torch.from_numpy(cut.rows).to(device)
        self._starts = torch.from_numpy(cut.starts[usable]).to(device)
        self._lengths = torch.from_numpy(cut.lengths[usable] - 1).to(device)  # of the inputs
        self._sequences = torch.from_numpy(usable).to(device)
        self._items = items
        self._batch_size = batch_size
        self._device = device
        owners = np.repeat(np.arange(len(training)), training.lengths)
        self._known = torch.from_numpy(np.unique(owners * (items + 1) + training.rows)).to(device)
        self.mean_targets = float(self._lengths.sum()) / len(self)

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self._starts) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """One epoch in a new random order (torch's global generator)."""
        shuffled = torch.randperm(len(self._starts), device=self._device)
        batches = [
            batch
            for chunk in torch.split(shuffled, CHUNK_BATCHES * self._batch_size)
            for batch in torch.split(chunk[self._lengths[chunk].argsort(stable=True)], self._batch_size)
        ]
        for number in torch.randperm(len(batches)).tolist():
            yield self._batch(batches[number])

    def _batch(self, chosen: Tensor) -> Batch:
        lengths = self._lengths[chosen]
        places = ragged_arange(self._starts[chosen], lengths)
        sequences = self._sequences[chosen]
        return Batch(
            rows=self._rows[places],
            lengths=lengths,
            targets=self._rows[places + 1],
            negatives=self._negatives(torch.repeat_interleave(sequences, lengths)),
            sequences=sequences,
            mean_targets=self.mean_targets,
        )

    def _negatives(self, owners: Tensor) -> Tensor:
        """A uniform item row for each position, none of its user's training items (up to the redraw limit)."""
        drawn = torch.randint(1, self._items + 1, owners.shape, device=self._device)
        for _ in range(NEGATIVE_ROUNDS):
            keys = owners * (self._items + 1) + drawn
            found = torch.searchsorted(self._known, keys).clamp(max=len(self._known) - 1)
            again = torch.randint(1, self._items + 1, owners.shape, device=self._device)
            drawn = torch.where(self._known[found] == keys, again, drawn)
        return drawn


def packed_batches(
    sequences: Sequences, *, max_length: int, batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Every sequence once, for encoding: (numbers (B), rows (T), lengths (B)), grouped by length."""
    cut = sequences.newest(max_length)
    rows = torch.from_numpy(cut.rows).to(device)
    starts, lengths = torch.from_numpy(cut.starts).to(device), torch.from_numpy(cut.lengths).to(device)
    for numbers in torch.split(lengths.argsort(stable=True), batch_size):
        yield numbers, rows[ragged_arange(starts[numbers], lengths[numbers])], lengths[numbers]
