"""InfoNCE between two views of the same sequences, with the other sequences of the batch as negatives."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.gathering import gather_rows


def info_nce(
    first: Tensor,
    second: Tensor,
    *,
    temperature: float = 1.0,
    prototypes: Tensor | None = None,
    intents: Tensor | None = None,
) -> Tensor:
    """Symmetric contrast of views (B, D) and (B, D) -> scalar (ICLRec eqs. 5-6: dot product, temperature 1).

    A view's positive is the other view of its sequence; its negatives are both views of every other sequence, and,
    where `prototypes` (K, D) and the own `intents` (B) are given, every prototype but the own (S4Rec eq. 10).
    The two directions are added, each as a mean over the batch.
    """
    views = torch.cat([gather_rows(first), gather_rows(second)])
    logits = views @ views.T / temperature
    logits.fill_diagonal_(float("-inf"))  # a view is no negative of itself
    if prototypes is not None and intents is not None:
        own = F.one_hot(gather_rows(intents), len(prototypes)).bool().repeat(2, 1)
        others = (views @ prototypes.T / temperature).masked_fill(own, float("-inf"))
        logits = torch.cat([logits, others], dim=1)
    batch = len(views) // 2
    positives = torch.arange(2 * batch, device=first.device).roll(batch)
    return 2 * F.cross_entropy(logits, positives)
