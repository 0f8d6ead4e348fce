"""Contrast of a sequence against its own intent, with the intents of the other sequences as negatives."""

import torch
import torch.nn.functional as F
from torch import Tensor


def prototype_contrast(
    sequence_vectors: Tensor,
    prototypes: Tensor,
    intents: Tensor,
    *,
    temperature: float = 1.0,
    mitigate_false_negatives: bool = True,
) -> Tensor:
    """Vectors (B, D), unit prototypes (K, D), the intent of each sequence (B) -> scalar (ICLRec eqs. 15-17).

    With false-negative mitigation the prototype of a neighbour that shares the intent is no negative.
    """
    logits = sequence_vectors @ prototypes[intents].T / temperature
    if mitigate_false_negatives:
        same = intents[:, None] == intents[None, :]
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, float("-inf"))
    return F.cross_entropy(logits, torch.arange(len(intents), device=intents.device))
