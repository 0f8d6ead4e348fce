"""Mixed precision while a method learns; what is evaluated and exported is computed in float32.

The softmax over the catalogue multiplies in bfloat16 where the device can, the encoder on CUDA alone: on a CPU its
products are too small to gain.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.encoder import SequenceEncoder


def softmax_type(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32."""
    if device.type == "cuda":
        is_able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        found = torch.cpu.get_capabilities()
        is_able = any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if is_able else torch.float32


@contextmanager
def mixed_precision(encoder: SequenceEncoder, device: torch.device) -> Iterator[None]:
    """Autocast the encoder's forward pass; its position vectors leave the last LayerNorm in float32."""
    encoder.forward = torch.autocast(device.type, torch.bfloat16)(encoder.forward)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del encoder.forward  # the class's own again
