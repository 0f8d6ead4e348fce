"""Contrast of a sequence against an intent's prototype."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.gathering import gather_rows


def prototype_contrast(
    sequence_vectors: Tensor,
    prototypes: Tensor,
    intents: Tensor,
    *,
    temperature: float = 1.0,
    mitigate_false_negatives: bool = True,
) -> Tensor:
    """Vectors (B, D), prototypes (K, D), the intent of each sequence (B) -> scalar (ICLRec eqs. 15-17).

    The negatives are the intents of the other sequences of the batch. With false-negative mitigation the prototype
    of a neighbour that shares the intent is no negative.
    """
    vectors, intents = gather_rows(sequence_vectors), gather_rows(intents)
    logits = vectors @ prototypes[intents].T / temperature
    if mitigate_false_negatives:
        same = intents[:, None] == intents[None, :]
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, float("-inf"))
    return F.cross_entropy(logits, torch.arange(len(intents), device=intents.device))


def all_prototypes_contrast(
    sequence_vectors: Tensor, prototypes: Tensor, intents: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """The same with every other prototype as a negative, in the batch or not (ELCRec eq. 6) -> scalar."""
    return F.cross_entropy(sequence_vectors @ prototypes.T / temperature, intents)
