"""A set of intents: prototypes found by K-means, and the weights a sequence gives them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.clustering import kmeans, nearest

TEMPERATURE = 0.1  # of the served weights: a cosine lead of .1 is worth odds of e : 1


class KMeansIntents(nn.Module):
    """Unit prototypes (K, D) without gradient, refreshed from the sequence vectors by K-means."""

    prototypes: Tensor
    fitted: Tensor

    def __init__(self, count: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("prototypes", torch.zeros(count, hidden))
        self.register_buffer("fitted", torch.tensor(False))

    def refresh(self, sequence_vectors: Tensor) -> Tensor:
        """E-step: K-means over (N, D), started from the prototypes there are -> the intent of each sequence (N)."""
        initial = self.prototypes if bool(self.fitted) else None
        self.prototypes.copy_(kmeans(sequence_vectors, len(self.prototypes), initial=initial))
        self.fitted.fill_(True)
        return nearest(F.normalize(sequence_vectors, dim=1), self.prototypes)[0]

    def weights(self, sequence_vectors: Tensor) -> Tensor:
        """softmax of cosine / temperature: (B, D) -> (B, K)."""
        return (F.normalize(sequence_vectors, dim=1) @ self.prototypes.T / TEMPERATURE).softmax(dim=1)
