"""SASRec as it is usually written: the yardstick of `training_speed.py`, not part of the product.

A loader makes one padded sample at a time in Python, negatives are drawn in a loop, every sequence is as long as the
longest allowed, and causal masks are built for every batch. Same size, loss and optimizer as the methods beside it.
"""

import random
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.sequences import Sequences


class PaddedSequences(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Input, next items and one negative an input, each (max_length), padded on the left."""

    def __init__(self, training: Sequences, items: int, max_length: int) -> None:
        self.sequences = [training[number].tolist() for number in range(len(training))]
        self.items = items
        self.max_length = max_length

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        sequence = self.sequences[number]
        known = set(sequence)
        inputs, targets = sequence[:-1][-self.max_length :], sequence[1:][-self.max_length :]
        negatives = [self._negative(known) for _ in targets]
        padding = [0] * (self.max_length - len(inputs))
        padded = (torch.tensor(padding + rows) for rows in (inputs, targets, negatives))
        return next(padded), next(padded), next(padded)

    def _negative(self, known: set[int]) -> int:
        while (drawn := random.randint(1, self.items)) in known:  # no secret depends on it
            pass
        return drawn


class PaddedSASRec(nn.Module):
    """Item and position embedding, post-LN transformer layers, tied output."""

    def __init__(self, items: int, hidden: int, layers: int, heads: int, max_length: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(items + 1, hidden, padding_idx=0)
        self.positions = nn.Embedding(max_length, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(hidden, heads, 4 * hidden, dropout, F.gelu, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, L) -> (B, L, D)."""
        places = torch.arange(rows.shape[1])
        vectors = self.dropout(self.norm(self.items(rows) + self.positions(places)))
        causal = nn.Transformer.generate_square_subsequent_mask(rows.shape[1])
        visible = torch.zeros(rows.shape, dtype=vectors.dtype).masked_fill(rows == 0, -1e9)
        encoded: Tensor = self.blocks(vectors, mask=causal, src_key_padding_mask=visible)
        return encoded

    def loss(self, rows: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
        """Binary cross-entropy over the real positions."""
        vectors, real = self(rows), (targets > 0).float()
        positive = (vectors * self.items(targets)).sum(2)
        negative = (vectors * self.items(negatives)).sum(2)
        return ((F.softplus(-positive) + F.softplus(negative)) * real).sum() / real.sum()


def seconds_of_an_epoch(training: Sequences, items: int, *, hidden: int, layers: int, batch_size: int) -> float:
    """Train one epoch of the yardstick."""
    model = PaddedSASRec(items, hidden, layers, heads=2, max_length=50, dropout=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(PaddedSequences(training, items, 50), batch_size, shuffle=True)
    started = time.perf_counter()
    for batch in loader:
        optimizer.zero_grad()
        model.loss(*batch).backward()
        optimizer.step()
    return time.perf_counter() - started
