"""Adam where a step sees few items."""

import pytest
import torch

from models.encoder import EncoderOptions
from models.methods import IntentMethod, Objective, build
from training.config import LoopOptions
from training.optimizers import LazyItems, optimizer_for


def method(*, sparse: bool) -> IntentMethod:
    torch.manual_seed(0)
    built = build("sasrec", 6, EncoderOptions(hidden=4, layers=1, heads=1), Objective("sampled"), {})
    built.encoder.item_embedding.sparse = sparse
    return built


def stepped(built: IntentMethod, rows: list[int]) -> None:
    """The loss is the sum of some vectors: every one of their values has the gradient 1."""
    built.encoder.item_embedding(torch.tensor(rows)).sum().backward()


def test_the_first_step_moves_what_was_seen_by_the_learning_rate_and_nothing_else() -> None:
    """Adam's first step is the learning rate in the direction of the gradient."""
    built = method(sparse=True)
    before = built.encoder.item_embedding.weight.detach().clone()
    optimizer = optimizer_for(built, LoopOptions(learning_rate=0.01))
    stepped(built, [2, 5])
    optimizer.step()
    moved = before - built.encoder.item_embedding.weight.detach()
    torch.testing.assert_close(moved[[2, 5]], torch.full((2, 4), 0.01))
    assert moved[[0, 1, 3, 4, 6, 7]].abs().sum() == 0


def test_items_that_every_step_sees_move_as_with_adam() -> None:
    found = []
    for sparse in (False, True):
        built = method(sparse=sparse)
        optimizer = optimizer_for(built, LoopOptions(learning_rate=0.01))
        for _ in range(3):
            optimizer.zero_grad(set_to_none=True)
            stepped(built, [1, 2, 3, 4, 5, 6, 7])
            optimizer.step()
        found.append(built.encoder.item_embedding.weight.detach())
    torch.testing.assert_close(*found)


def test_its_state_goes_on_where_it_was() -> None:
    """A step after restoring is the step without."""
    built, again = method(sparse=True), method(sparse=True)
    first, second = (optimizer_for(one, LoopOptions(learning_rate=0.01)) for one in (built, again))
    assert isinstance(first, LazyItems)
    for one, optimizer in ((built, first), (again, second)):
        stepped(one, [1, 2])
        optimizer.step()
    fresh = optimizer_for(again, LoopOptions(learning_rate=0.01))
    fresh.load_state_dict(second.state_dict())
    for one, optimizer in ((built, first), (again, fresh)):
        optimizer.zero_grad(set_to_none=True)
        stepped(one, [2, 3])
        optimizer.step()
    torch.testing.assert_close(built.encoder.item_embedding.weight, again.encoder.item_embedding.weight)


def test_weight_decay_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a sampled softmax trains without weight_decay, got 0\.1"):
        optimizer_for(method(sparse=True), LoopOptions(weight_decay=0.1))
