"""How two vectors are compared in a contrast."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Similarity = Literal["dot", "cosine"]


def comparable(vectors: Tensor, similarity: Similarity) -> Tensor:
    """Vectors (B, D) whose inner products are the wanted similarities.

    The papers take the dot product. Beside a full softmax the cosine is better: position vectors have length sqrt(D),
    so a contrast of dot products outweighs the next item as long as the item vectors are small.
    """
    if similarity == "cosine":
        return F.normalize(vectors, dim=1)
    if similarity == "dot":
        return vectors
    raise ValueError(f"similarity must be dot or cosine, got {similarity!r}")
