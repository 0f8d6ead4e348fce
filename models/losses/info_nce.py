"""InfoNCE between two views of the same sequences, with the other sequences of the batch as negatives."""

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(first: Tensor, second: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Symmetric contrast of views (B, D) and (B, D) -> scalar (ICLRec eqs. 5-6: dot product, temperature 1).

    A view's positive is the other view of its sequence; its negatives are both views of every other sequence.
    The two directions are added, each as a mean over the batch.
    """
    views = torch.cat([first, second])
    logits = views @ views.T / temperature
    logits.fill_diagonal_(float("-inf"))  # a view is no negative of itself
    batch = len(first)
    positives = torch.arange(2 * batch, device=first.device).roll(batch)
    return 2 * F.cross_entropy(logits, positives)
