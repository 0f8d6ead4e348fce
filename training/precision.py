"""Mixed precision: the encoder computes in bfloat16, the losses and what is evaluated and exported in float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.encoder import SequenceEncoder


@contextmanager
def mixed_precision(encoder: SequenceEncoder, device: torch.device) -> Iterator[None]:
    """Autocast the encoder's forward pass; its position vectors leave the last LayerNorm in float32."""
    encoder.forward = torch.autocast(device.type, torch.bfloat16)(encoder.forward)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del encoder.forward  # the class's own again
