"""Clicks and conversions learned from everything that was shown, whether it was clicked or not."""

import torch.nn.functional as F
from torch import Tensor

LARGEST = -1e-6  # logarithm of a probability: log(1 - p) stays finite


def entire_space(
    click_logits: Tensor, conversion_logits: Tensor, log_seen: Tensor, clicked: Tensor, converted: Tensor
) -> dict[str, Tensor]:
    """Five times (N), logits, a logarithm and labels 0 or 1 -> {"click", "conversion"}, scalars.

    ESMM (Ma et al., SIGIR 2018): conversions are learned as p(click) p(conversion | click) over all that was shown, so
    that the conversion rate is not learned from clicks alone, which are no sample of what it is asked of. An item is
    clicked where it is both seen and attractive (position-based model): p(click) = exp(log_seen) sigmoid(click_logits).
    """
    log_click = log_seen + F.logsigmoid(click_logits)
    log_conversion = log_click + F.logsigmoid(conversion_logits)
    return {"click": _surprise(log_click, clicked), "conversion": _surprise(log_conversion, converted)}


def _surprise(log_probability: Tensor, happened: Tensor) -> Tensor:
    """Mean binary cross-entropy, from the logarithm of the probability."""
    log_not = (-log_probability.clamp(max=LARGEST).expm1()).log()
    return -(happened * log_probability + (1 - happened) * log_not).mean()
