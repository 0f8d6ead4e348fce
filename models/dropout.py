"""Dropout that draws its mask eight elements at a time."""

import torch
from torch import Tensor, nn

LEVELS = 256  # a byte decides about each element


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al., JMLR 2014) with the probability rounded to 1 / 256.

    On a CPU the usual one spends most of its time on random numbers, one for each element.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.dropped = round(probability * LEVELS)  # of the values of a byte

    def forward(self, values: Tensor) -> Tensor:
        """Zero each element with the probability and scale the others up; the values themselves in evaluation."""
        if not (self.training and self.dropped):
            return values
        words = torch.empty(-(-values.numel() // 8), dtype=torch.int64, device=values.device)
        words.random_(torch.iinfo(torch.int64).min, None)
        kept = words.view(torch.uint8)[: values.numel()].view(values.shape) >= self.dropped
        return values * kept.to(values.dtype).mul_(LEVELS / (LEVELS - self.dropped))

    def extra_repr(self) -> str:
        """Shown by print."""
        return f"p={self.dropped / LEVELS}"
