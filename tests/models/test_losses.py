"""Losses against values one can work out by hand."""

from math import e, log

import pytest
import torch
import torch.nn.functional as F

from models.losses import next_item
from models.losses.info_nce import info_nce
from models.losses.next_item import binary_cross_entropy, cross_entropy
from models.losses.prototype_contrast import prototype_contrast


def test_binary_cross_entropy_at_zero_scores() -> None:
    """s(0) = 1/2 on both sides of two positions: 4 ln 2."""
    loss = binary_cross_entropy(torch.zeros(2, 1, 3), torch.randn(5, 3), torch.tensor([1, 2]), torch.tensor([3, 4]))
    assert loss.item() == pytest.approx(4 * log(2))


def test_cross_entropy_of_a_uniform_softmax() -> None:
    """Three positions, five equal scores: 3 ln 5."""
    assert cross_entropy(torch.zeros(3, 1, 2), torch.randn(5, 2), torch.tensor([1, 5, 3])).item() == pytest.approx(
        3 * log(5)
    )


def test_chunks_change_neither_value_nor_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    vectors, items = torch.randn(7, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    targets = torch.randint(1, 10, (7,))
    plain = F.cross_entropy(vectors @ items.T, targets - 1, reduction="sum")
    wanted = torch.autograd.grad(plain, (vectors, items))
    monkeypatch.setattr(next_item, "CHUNK_BYTES", 4 * 9 * 2)  # two positions at a time
    chunked = cross_entropy(vectors[:, None], items, targets)
    torch.testing.assert_close(chunked, plain)
    torch.testing.assert_close(torch.autograd.grad(chunked, (vectors, items)), wanted)


def test_info_nce_of_two_orthogonal_pairs() -> None:
    """Each view sees its partner at 1 and two strangers at 0: -ln(e / (e + 2)) in each direction."""
    assert info_nce(torch.eye(2), torch.eye(2)).item() == pytest.approx(2 * log((e + 2) / e), rel=1e-6)


def test_prototype_contrast_counts_the_other_intent_as_negative() -> None:
    """Own prototype at 1, the other at 0: -ln(e / (e + 1))."""
    loss = prototype_contrast(torch.eye(2), torch.eye(2), torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(log((e + 1) / e), rel=1e-6)


def test_mitigation_removes_exactly_the_pairs_that_share_an_intent() -> None:
    """Both sequences of intent 0 are left with the third as negative: ln((e + 1) / e); without it, two are equal."""
    vectors, intents = torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1])
    mitigated = prototype_contrast(vectors, torch.eye(2), intents)
    naive = prototype_contrast(vectors, torch.eye(2), intents, mitigate_false_negatives=False)
    third = log((e + 2) / e)
    assert mitigated.item() == pytest.approx((2 * log((e + 1) / e) + third) / 3, rel=1e-6)
    assert naive.item() == pytest.approx((2 * log((2 * e + 1) / e) + third) / 3, rel=1e-6)
