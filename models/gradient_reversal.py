"""Gradient reversal: what is learned behind it is unlearned in front of it (Ganin & Lempitsky, ICML 2015)."""

from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return vectors.view_as(vectors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradients[0], None


def reverse_gradient(vectors: Tensor, factor: float = 1.0) -> Tensor:
    """The same values; their gradient changes sign and is multiplied by `factor`."""
    reversed_: Tensor = _Reversal.apply(vectors, factor)  # type: ignore[no-untyped-call]
    return reversed_
