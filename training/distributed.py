"""Training in several processes, as torchrun starts them: one process a rank, gloo on CPU and nccl on GPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """This process among all. A single process is rank 0 of 1 and joins no group."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this rank writes, validates and talks."""
        return self.rank == 0

    def share(self, chosen: Tensor) -> Tensor:
        """This rank's part of the global batch (B); all parts are equal, up to world - 1 entries are left out."""
        return chosen[: len(chosen) // self.world * self.world][self.rank :: self.world]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Average the gradients over the ranks after every backward; ablations leave some parameters unused."""
        return module if self.world == 1 else DistributedDataParallel(module, find_unused_parameters=True)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a scalar over the ranks."""
        if self.world > 1:
            dist.all_reduce(value)
        return value / self.world

    def sum_(self, values: Tensor) -> Tensor:
        """Add up over the ranks, in place."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def told(self, value: Any) -> Any:
        """What the first rank says; the others' value is ignored."""
        if self.world == 1:
            return value
        said = [value]
        dist.broadcast_object_list(said)
        return said[0]


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the group that torchrun announces in the environment; without one, a single process."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), world)
        dist.barrier()  # all leave together: a rank that goes first tears the others' connections down
    finally:
        dist.destroy_process_group()
