"""Contrast between histories that led to the same next item: they are taken to share an intent (after ICSRec)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.gathering import gather_rows


def shared_next_item(histories: Tensor, partners: Tensor, next_items: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Vectors of histories (B, D), of other histories before the same next item (B, D), that item (B) -> scalar.

    Qin et al., Intent Contrastive Learning with Cross Subsequences (WSDM 2024): each vector finds its partner among
    all partners of the batch; whoever has the same next item is no negative. Both directions are added. They compare
    by dot product; the cosine with a temperature of .1 is our choice, because it does not hold up the next item.
    """
    first = gather_rows(F.normalize(histories, dim=1))
    second = gather_rows(F.normalize(partners, dim=1))
    items = gather_rows(next_items)
    same = items[:, None] == items[None, :]
    same.fill_diagonal_(False)
    logits = (first @ second.T / temperature).masked_fill(same, float("-inf"))
    own = torch.arange(len(items), device=items.device)
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
