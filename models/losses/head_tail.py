"""Adversary that tells head from tail sequences; behind a reversed gradient it removes length from the vectors."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.gradient_reversal import reverse_gradient


class HeadTailAdversary(nn.Module):
    """S4Rec eq. 13: a linear classifier learns the class, the encoder in front of the reversal unlearns it."""

    def __init__(self, hidden: int, reversal: float = 1.0) -> None:
        super().__init__()
        self.reversal = reversal
        self.classify = nn.Linear(hidden, 2)

    def forward(self, sequence_vectors: Tensor, heads: Tensor) -> Tensor:
        """Vectors (B, D), whether each sequence belongs to the head (B) -> scalar."""
        return F.cross_entropy(self.classify(reverse_gradient(sequence_vectors, self.reversal)), heads.long())
