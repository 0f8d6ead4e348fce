"""Adam, and its lazy form for item vectors of which a step sees few."""

from typing import Any

import torch

from models.methods.base import IntentMethod
from training.config import LoopOptions

State = dict[str, Any]


class LazyItems:
    """Adam for what every step changes; of the item vectors, and their moments, a step moves those it has seen.

    An item that a batch did not meet keeps its vector, where Adam would move it on by its momentum (torch's
    SparseAdam). A step then costs what it has seen, not what the catalogue holds.
    """

    def __init__(self, items: torch.nn.Parameter, others: list[torch.nn.Parameter], learning_rate: float) -> None:
        self._parts = {
            "items": torch.optim.SparseAdam([items], lr=learning_rate),
            "others": torch.optim.Adam(others, lr=learning_rate, fused=True),
        }

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self._parts.values():
            part.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Follow the gradients."""
        for part in self._parts.values():
            part.step()

    def state_dict(self) -> State:
        """The state of both."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])


Optimizer = torch.optim.Optimizer | LazyItems


def optimizer_for(method: IntentMethod, options: LoopOptions) -> Optimizer:
    """Lazy where the gradients of the items are sparse. Raises ValueError for weight decay, which is not lazy."""
    items = method.encoder.item_embedding.weight
    assert isinstance(items, torch.nn.Parameter)
    if not method.encoder.item_embedding.sparse:
        return torch.optim.Adam(
            method.parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
            fused=True,  # one pass over the parameters, which counts where the catalogue is large
        )
    if options.weight_decay:
        raise ValueError(f"a sampled softmax trains without weight_decay, got {options.weight_decay:g}")
    others = [parameter for parameter in method.parameters() if parameter is not items]
    return LazyItems(items, others, options.learning_rate)
