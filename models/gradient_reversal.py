"""Gradient reversal: what is learned behind it is unlearned in front of it (Ganin & Lempitsky, ICML 2015)."""

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, vectors: Tensor) -> Tensor:
        return vectors.view_as(vectors)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse_gradient(vectors: Tensor) -> Tensor:
    """The same values; their gradient changes sign."""
    reversed_: Tensor = _Reversal.apply(vectors)  # type: ignore[no-untyped-call]
    return reversed_
