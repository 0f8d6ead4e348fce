"""K-means on the unit sphere, balanced assignments by Sinkhorn, and the nearest prototype."""

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK = 65536  # vectors scored at once, so that memory does not grow with their number


def nearest(vectors: Tensor, prototypes: Tensor) -> tuple[Tensor, Tensor]:
    """Unit rows (N, D) and (K, D) -> the closest prototype of each vector (N) and its cosine (N)."""
    best = [(chunk @ prototypes.T).max(dim=1) for chunk in torch.split(vectors, _CHUNK)]
    return torch.cat([found.indices for found in best]), torch.cat([found.values for found in best])


def sinkhorn(scores: Tensor, *, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Balanced soft assignments, (B, K) -> (B, K): rows sum to 1, columns approach B / K (S4Rec eqs. 5-7)."""
    log_q = scores / epsilon  # log space: a small epsilon cannot overflow
    for _ in range(iterations):
        log_q = log_q - log_q.logsumexp(dim=0, keepdim=True)  # every prototype gets equal mass
        log_q = log_q - log_q.logsumexp(dim=1, keepdim=True)  # every sequence gets mass 1
    return log_q.exp()


def kmeans(vectors: Tensor, count: int, *, initial: Tensor | None = None, iterations: int = 20) -> Tensor:
    """Spherical K-means: (N, D) -> unit prototypes (K, D).

    Starts from `initial` where given (intents then keep their ids from epoch to epoch), else from k-means++.
    An empty cluster restarts at the vector that is worst served, so that no intent stays unused.
    Raises ValueError for fewer vectors than clusters.
    """
    if len(vectors) < count:
        raise ValueError(f"{count} intents need at least as many sequences, got {len(vectors)}")
    vectors = F.normalize(vectors, dim=1)
    prototypes = _plus_plus(vectors, count) if initial is None else F.normalize(initial, dim=1)
    previous: Tensor | None = None
    for _ in range(iterations):
        assigned, cosines = nearest(vectors, prototypes)
        if previous is not None and torch.equal(assigned, previous):
            break
        previous = assigned
        prototypes = _step(vectors, assigned, cosines, count)
    return prototypes


def _step(vectors: Tensor, assigned: Tensor, cosines: Tensor, count: int) -> Tensor:
    """The normalised mean of each cluster; the empty ones take the vectors farthest from their own prototype."""
    sums = vectors.new_zeros(count, vectors.shape[1]).index_add(0, assigned, vectors)
    empty = torch.bincount(assigned, minlength=count) == 0
    if vacant := int(empty.sum()):
        sums[empty] = vectors[cosines.topk(vacant, largest=False).indices]
    return F.normalize(sums, dim=1)


def _plus_plus(vectors: Tensor, count: int) -> Tensor:
    """k-means++ (Arthur & Vassilvitskii 2007): each start is drawn in proportion to its distance from the others."""
    chosen = torch.empty(count, vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
    distance = torch.ones(len(vectors), dtype=vectors.dtype, device=vectors.device)
    for k in range(count):
        pick = torch.searchsorted(distance.cumsum(0), torch.rand(1, device=vectors.device) * distance.sum())
        chosen[k] = vectors[pick.clamp(max=len(vectors) - 1)][0]
        distance = torch.minimum(distance, (1 - vectors @ chosen[k]).clamp(min=0))
    return chosen
