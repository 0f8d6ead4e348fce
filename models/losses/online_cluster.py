"""Online clustering: sequences learn to give the assignment that a balanced plan would give them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.clustering import sinkhorn
from models.gathering import gather_rows


def online_cluster(
    sequence_vectors: Tensor,
    prototypes: Tensor,
    *,
    temperature: float = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> Tensor:
    """Unit rows (B, D) and (K, D) -> scalar (S4Rec eqs. 3-7).

        p_k = softmax_k(z . mu_k / temperature),  loss = -sum_k q_k log p_k,  q = sinkhorn(z . mu / epsilon)

    The target q gets no gradient. The paper names neither epsilon nor the iterations: SwAV's .05 and 3.
    """
    scores = gather_rows(sequence_vectors) @ prototypes.T  # (B, K)
    with torch.no_grad():
        targets = sinkhorn(scores, epsilon=epsilon, iterations=iterations)
    return F.cross_entropy(scores / temperature, targets)
