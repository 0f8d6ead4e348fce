"""The state of a run at the end of an epoch, written so that a kill at any moment leaves a whole one."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.methods.base import IntentMethod
from training.optimizers import Optimizer


@dataclass
class Progress:
    """How far a run has come."""

    epoch: int = 0  # finished epochs
    best_epoch: int = 0
    best_score: float = -1.0  # validation NDCG@20
    best_state: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0  # spent in finished epochs, over all resumptions


def save(path: Path, method: IntentMethod, optimizer: Optimizer, progress: Progress, key: str) -> None:
    """Write to a temporary file, fsync, rename. `key` names the configuration and data this state belongs to."""
    state: dict[str, Any] = {
        "key": key,
        "method": method.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(progress),
    }
    temporary = path.with_suffix(".writing")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path, method: IntentMethod, optimizer: Optimizer, key: str) -> Progress:
    """Restore everything `save` wrote. Raises ValueError when the checkpoint belongs to another run."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["key"] != key:
        raise ValueError(
            f"{path} belongs to another configuration or dataset; use another --work directory or leave --resume out"
        )
    method.load_state_dict(state["method"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])
