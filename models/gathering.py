"""Rows of all ranks: contrastive negatives and balanced assignments look at the global batch."""

import torch
import torch.distributed as dist
from torch import Tensor


class _GatherRows(torch.autograd.Function):
    """Forward all-gathers; backward sums the gradients that all ranks have for this rank's rows."""

    @staticmethod
    def forward(ctx: object, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def gather_rows(rows: Tensor) -> Tensor:
    """(B, ...) of this rank -> (world * B, ...) in the order of ranks, with gradient; itself in a single process.

    A loss computed from gathered rows is the loss of the global batch, the same on every rank. Every rank must
    hold equally many rows.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    gathered: Tensor = _GatherRows.apply(rows)  # type: ignore[no-untyped-call]
    return gathered
