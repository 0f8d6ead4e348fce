"""Next-item losses over every position: binary with one sampled negative, or softmax over the catalogue."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_BYTES = 64 << 20  # of logits held at once


def binary_cross_entropy(position_vectors: Tensor, item_vectors: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """Sum over positions of -log s(h . v_target) - log(1 - s(h . v_negative)) (ICLRec eq. 3).

    (T, D), (V, D), item rows (T) and (T) -> scalar.
    """
    positive = (position_vectors * F.embedding(targets - 1, item_vectors)).sum(1)
    negative = (position_vectors * F.embedding(negatives - 1, item_vectors)).sum(1)
    return F.softplus(-positive).sum() + F.softplus(negative).sum()


def cross_entropy(position_vectors: Tensor, item_vectors: Tensor, targets: Tensor) -> Tensor:
    """Sum over positions of -log softmax_V(h . v)[target]: (T, D), (V, D), item rows (T) -> scalar.

    Logits exist for one chunk of positions at a time, so memory does not grow with positions x catalogue.
    """
    loss: Tensor = _ChunkedCrossEntropy.apply(position_vectors, item_vectors, targets - 1)  # type: ignore[no-untyped-call]
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    """The gradient of a chunk is (softmax - one-hot); it is folded into both inputs before the chunk is dropped."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, items: Tensor, targets: Tensor) -> Tensor:
        vector_gradient = torch.empty_like(vectors)
        item_gradient = torch.zeros_like(items)
        total = vectors.new_zeros(())
        size = max(1, CHUNK_BYTES // (4 * len(items)))
        for start in range(0, len(vectors), size):
            chunk, wanted = vectors[start : start + size], targets[start : start + size, None]
            logits = chunk @ items.T
            total -= logits.gather(1, wanted).sum()
            normaliser = logits.logsumexp(dim=1, keepdim=True)
            total += normaliser.sum()
            gradient = logits.sub_(normaliser).exp_()
            gradient.scatter_add_(1, wanted, gradient.new_full((len(chunk), 1), -1.0))
            vector_gradient[start : start + size] = gradient @ items
            item_gradient.addmm_(gradient.T, chunk)
        ctx.save_for_backward(vector_gradient, item_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        vector_gradient, item_gradient = ctx.saved_tensors
        return vector_gradient * outputs[0], item_gradient * outputs[0], None
