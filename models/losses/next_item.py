"""Next-item losses over every position: binary with one sampled negative, or a softmax over items.

Every loss takes query vectors (T, Q, D): an item's score is the best of the Q inner products, and a softmax is over
items and queries (DSSRec eq. 6). With Q = 1 these are the usual losses.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_BYTES = 4 << 20  # of logits held at once: they stay in the cache from product to product
SMALLEST_SHARE = torch.finfo(torch.float32).tiny  # a softmax may underflow, its logarithm must not


def binary_cross_entropy(query_vectors: Tensor, item_vectors: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """Sum over positions of -log s(h . v_target) - log(1 - s(h . v_negative)) (ICLRec eq. 3).

    (T, Q, D), (V, D), item rows (T) and (T) -> scalar.
    """
    positive = _best_score(query_vectors, F.embedding(targets - 1, item_vectors))
    negative = _best_score(query_vectors, F.embedding(negatives - 1, item_vectors))
    return F.softplus(-positive).sum() + F.softplus(negative).sum()


def cross_entropy(
    query_vectors: Tensor, item_vectors: Tensor, targets: Tensor, *, products_in: torch.dtype = torch.float32
) -> Tensor:
    """Sum over positions of -log softmax(h . v)[target]: (T, Q, D), (V, D), item rows (T) -> scalar.

    Logits exist for one chunk of positions at a time, so memory does not grow with positions x catalogue. They
    and their gradient have the type `products_in`; what is summed over chunks has the type of the inputs.
    """
    loss: Tensor = _ChunkedCrossEntropy.apply(query_vectors, item_vectors, targets - 1, products_in)  # type: ignore[no-untyped-call]
    return loss


def _best_score(query_vectors: Tensor, items: Tensor) -> Tensor:
    """(T, Q, D), (T, D) -> (T)."""
    return (query_vectors * items[:, None]).sum(2).amax(1)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """The gradient of a chunk is (softmax - one-hot); it is folded into both inputs before the chunk is dropped."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, items: Tensor, targets: Tensor, products_in: torch.dtype) -> Tensor:
        queries, count = vectors.shape[1], len(items)
        vector_gradient = torch.empty_like(vectors)
        item_gradient = torch.zeros_like(items)
        total = vectors.new_zeros(())
        vectors, items = vectors.to(products_in), items.to(products_in)
        size = min(len(vectors), max(1, CHUNK_BYTES // (items.itemsize * count * queries)))
        buffer = vectors.new_empty(size * queries * count)  # one for all chunks: fresh pages cost more than the product
        for start in range(0, len(vectors), size):
            chunk, wanted = vectors[start : start + size].flatten(0, 1), targets[start : start + size]
            scores = buffer[: len(chunk) * count].view(len(chunk), count)
            torch.mm(chunk, items.T, out=scores)
            each = torch.arange(len(wanted), device=items.device)
            query = scores.view(len(wanted), queries, count)[each, :, wanted].argmax(dim=1)
            shares = scores.view(len(wanted), -1)
            torch.softmax(shares, dim=1, out=shares)
            own = query * count + wanted
            total -= shares[each, own].float().clamp(min=SMALLEST_SHARE).log().sum()
            shares[each, own] -= 1
            vector_gradient[start : start + size] = (scores @ items).view(len(wanted), queries, -1)
            item_gradient += scores.T @ chunk
        ctx.save_for_backward(vector_gradient, item_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        vector_gradient, item_gradient = ctx.saved_tensors
        return vector_gradient * outputs[0], item_gradient * outputs[0], None, None
