"""DSSRec's latent self-supervision: the past's intents predict the intents of the future as a whole."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models.gathering import gather_rows


def latent_seq2seq(past: Tensor, future: Tensor, *, kept_share: float) -> Tensor:
    """phi of the past and of the reversed future, (B, K, D) each -> scalar (DSSRec eqs. 3-4).

    -ln softmax over all B K future vectors of (future . past / sqrt D) at the own one. Only the
    ceil(kept_share B K) smallest losses count: pairs that share an intent; the rest is noise. The paper sums them,
    here their mean is taken, so that the term does not grow with the batch.
    """
    pasts, futures = gather_rows(past).flatten(0, 1), gather_rows(future).flatten(0, 1)
    logits = pasts @ futures.T / math.sqrt(past.shape[2])
    losses = F.cross_entropy(logits, torch.arange(len(logits), device=logits.device), reduction="none")
    return losses.topk(kept_samples(kept_share, len(losses)), largest=False).values.mean()


def kept_samples(share: float, samples: int) -> int:
    """ceil(share * samples), at least one; rounding errors of the product do not count as a sample."""
    return max(1, math.ceil(round(share * samples, 6)))
