"""The softmax over a catalogue too large to score whole, estimated from the items that a batch draws."""

from typing import NamedTuple

import torch
from torch import Tensor

NOTHING = torch.finfo(torch.float32).min  # unlike -inf it has a gradient where nothing else was drawn


class Drawn(NamedTuple):
    """The negatives of a batch, shared by all its positions."""

    rows: Tensor  # (S)
    vectors: Tensor  # (S, D)
    log_expected: Tensor  # (S) ln E[how often a batch draws the item]


def sampled_softmax(
    query_vectors: Tensor,
    targets: Tensor,
    target_vectors: Tensor,
    drawn: Drawn,
    *,
    products_in: torch.dtype = torch.float32,
) -> Tensor:
    """Sum over positions of -s_y + ln(e^s_y + sum over draws j, j not y, of e^(s_j - ln(S p_j))) -> scalar.

    (T, Q, D), item rows (T), (T, D). With s the score and p the distribution that S items were drawn from, the inner
    sum estimates that of all items but y without bias: a draw stands for the 1 / (S p_j) that were to be expected
    (logQ correction; Bengio & Senecal, IEEE Trans. Neural Networks 2008, importance sampling with the target scored
    exactly; Yi et al., RecSys 2019). Where y itself was drawn it does not count again. With several queries an item
    scores as in `cross_entropy`. Gradients reach the vectors of targets and draws alone.
    """
    positions, queries, _ = query_vectors.shape
    flat = query_vectors.flatten(0, 1).to(products_in)  # (T Q, D)
    products = flat @ drawn.vectors.to(products_in).T
    logits = products.float().sub_(drawn.log_expected).view(positions, queries, -1)
    logits = logits.masked_fill_((targets[:, None] == drawn.rows)[:, None], NOTHING)
    own = (query_vectors * target_vectors[:, None]).sum(2)  # (T, Q)
    others = logits.flatten(1).logsumexp(1)
    return (torch.logaddexp(others, own.logsumexp(1)) - own.amax(1)).sum()
