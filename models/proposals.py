"""From where the negatives of a sampled softmax are drawn, and how often each item is to be expected among them."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Distribution = Literal["uniform", "log_uniform"]


@dataclass(frozen=True)
class Negatives:
    """How many item rows a batch draws, with replacement, and from which distribution over the rows 1..V.

    `log_uniform`: p(r) = ln((r + 1) / r) / ln(V + 1), Zipf's law over rows, which the vocabulary orders by falling
    count: popular items are drawn more often, as they are met more often. `uniform`: p(r) = 1 / V.
    """

    count: int = 8192
    distribution: Distribution = "log_uniform"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"negatives.count must be at least 1, got {self.count}")

    def draw(self, items: int, generator: torch.Generator) -> Tensor:
        """Item rows (S), the same for all positions of a batch."""
        uniform = torch.rand(self.count, generator=generator, device=generator.device, dtype=torch.float64)
        if self.distribution == "uniform":
            return 1 + (uniform * items).long()
        rows = (uniform * math.log(items + 1)).exp()  # the inverse of the cumulative ln(r + 1) / ln(V + 1)
        return rows.long().clamp(max=items)

    def log_expected(self, rows: Tensor, items: int) -> Tensor:
        """ln(S p(row)) of each of `rows`: how often it is drawn for one batch, on average."""
        if self.distribution == "uniform":
            return torch.full_like(rows, math.log(self.count / items), dtype=torch.float32)
        shares = torch.log1p(1 / rows.double()) / math.log(items + 1)
        return (self.count * shares).log().float()
