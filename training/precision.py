"""Mixed precision while a method learns; what is evaluated and exported is computed in float32.

The encoder and the softmax over the catalogue multiply in bfloat16 where the device can.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from models.methods.base import IntentMethod


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device does so in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return any(bool(found.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@contextmanager
def mixed_precision(method: IntentMethod, device: torch.device) -> Iterator[None]:
    """Autocast the encoder, on a CPU its linear layers alone; its position vectors are float32 all the same."""
    encoder, objective = method.encoder, method.objective
    linear = [layer for layer in encoder.modules() if isinstance(layer, nn.Linear)]
    cast: Sequence[nn.Module] = [encoder] if device.type == "cuda" else linear
    for module in cast:
        module.forward = torch.autocast(device.type, torch.bfloat16)(module.forward)
    method.objective = replace(objective, softmax_in=torch.bfloat16)
    try:
        yield
    finally:
        for module in cast:
            del module.forward  # the class's own again
        method.objective = objective
