"""A softmax estimated from a sample, against values one can work out by hand."""

from math import e, log

import pytest
import torch
import torch.nn.functional as F

from models.encoder import EncoderOptions
from models.losses.next_item import cross_entropy
from models.losses.sampled_softmax import Drawn, sampled_softmax
from models.methods import Objective, build
from models.methods.base import next_item
from models.proposals import Distribution, Negatives
from tests.models.test_methods import batch

ITEMS = 40


def drawn(rows: list[int], vectors: torch.Tensor, expected: float) -> Drawn:
    """These rows of (V, D), each expected so often."""
    return Drawn(torch.tensor(rows), vectors[[row - 1 for row in rows]], torch.full((len(rows),), log(expected)))


def test_a_draw_stands_for_as_many_as_it_was_expected_seldom() -> None:
    """Target at 1, two draws at 0 that were each expected half a time: 2 + 2 strangers: ln(e + 4) - 1."""
    query, items = torch.tensor([[[1.0, 0.0]]]), torch.eye(2)
    loss = sampled_softmax(query, torch.tensor([1]), items[:1], drawn([2, 2], items, 0.5))
    assert loss.item() == pytest.approx(log(e + 4) - 1, rel=1e-6)


def test_a_drawn_target_does_not_count_again() -> None:
    """The first position's target was drawn: one stranger is left; the second position has both: ln(e + 2) - 1."""
    queries, items = torch.eye(3)[:2, None], torch.eye(3)
    loss = sampled_softmax(queries, torch.tensor([1, 2]), items[:2], drawn([1, 3], items, 1.0))
    assert loss.item() == pytest.approx((log(e + 1) - 1) + (log(e + 2) - 1), rel=1e-6)


def test_where_only_the_target_was_drawn_there_is_nothing_to_learn() -> None:
    """No stranger: the loss and its gradient are 0, and finite."""
    query, items = torch.ones(1, 1, 2, requires_grad=True), torch.eye(2)
    loss = sampled_softmax(query, torch.tensor([1]), items[:1], drawn([1, 1], items, 1.0))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert query.grad is not None
    assert query.grad.tolist() == [[[0, 0]]]


def test_every_item_drawn_once_is_the_full_softmax() -> None:
    torch.manual_seed(0)
    queries, items, targets = torch.randn(5, 2, 4), torch.randn(7, 4), torch.tensor([1, 7, 3, 3, 2])
    every = drawn(list(range(1, 8)), items, 1.0)
    found = sampled_softmax(queries, targets, items[targets - 1], every)
    torch.testing.assert_close(found, cross_entropy(queries, items, targets))


@pytest.mark.parametrize("distribution", ["uniform", "log_uniform"])
def test_the_expected_denominator_is_the_full_one(distribution: Distribution) -> None:
    """The mean of e^loss e^s_y over 4,000 samples is the sum of e^s over the catalogue; without logQ it is not."""
    torch.manual_seed(0)
    negatives, generator = Negatives(16, distribution), torch.Generator().manual_seed(0)
    query, items, targets = torch.randn(1, 1, 4), torch.randn(ITEMS, 4), torch.tensor([3])
    scores = (query[0] @ items.T)[0]
    estimates, naive = [], []
    for _ in range(4000):
        rows = negatives.draw(ITEMS, generator)
        sample = Drawn(rows, items[rows - 1], negatives.log_expected(rows, ITEMS))
        for log_expected, kept in ((sample.log_expected, estimates), (torch.zeros(16), naive)):
            loss = sampled_softmax(query, targets, items[2:3], sample._replace(log_expected=log_expected))
            kept.append((loss + scores[2]).exp())
    wanted = scores.exp().sum().item()
    assert torch.stack(estimates).mean().item() == pytest.approx(wanted, rel=0.02)
    assert torch.stack(naive).mean().item() != pytest.approx(wanted, rel=0.2)


@pytest.mark.parametrize("distribution", ["uniform", "log_uniform"])
def test_rows_are_drawn_as_often_as_expected(distribution: Distribution) -> None:
    """200,000 draws among 3 rows: a third each, or ln 2, ln 3/2 and ln 4/3 of ln 4."""
    shares = {"uniform": [1 / 3] * 3, "log_uniform": [log(2) / log(4), log(1.5) / log(4), log(4 / 3) / log(4)]}
    negatives = Negatives(200_000, distribution)
    rows = negatives.draw(3, torch.Generator().manual_seed(1))
    found = torch.bincount(rows, minlength=4) / 200_000
    assert found.tolist() == pytest.approx([0, *shares[distribution]], abs=0.005)
    expected = negatives.log_expected(torch.tensor([1, 2, 3]), 3).exp() / 200_000
    assert expected.tolist() == pytest.approx(shares[distribution], rel=1e-5)


def test_the_gradient_touches_only_the_rows_that_a_step_saw() -> None:
    """Histories, targets and draws; every other item's vector, and its place in the sparse gradient, stays out."""
    torch.manual_seed(0)
    objective = Objective("sampled", negatives=Negatives(4))
    options = EncoderOptions(hidden=16, layers=1, heads=2, max_length=8, dropout=0.0)
    method = build("sasrec", 1000, options, objective, {})
    method.encoder.item_embedding.sparse = True
    seen = batch()._replace(partners=None, drawn=torch.tensor([5, 900, 901, 900]))
    sum(method.train()(seen).values()).backward()
    gradient = method.encoder.item_embedding.weight.grad
    assert gradient is not None
    assert gradient.is_sparse
    touched = gradient.coalesce()
    rows = touched.indices()[0][touched.values().abs().sum(1) > 0]
    assert set(rows.tolist()) == set(seen.rows.tolist()) | set(seen.targets.tolist()) | {5, 900, 901}


def test_the_sparse_gradient_is_the_dense_one() -> None:
    """A gradient's form changes nothing of its values."""
    gradients = []
    for sparse in (False, True):
        torch.manual_seed(0)
        options = EncoderOptions(hidden=16, layers=1, heads=2, max_length=8, dropout=0.0, fixed_item_length=True)
        method = build("sasrec", ITEMS, options, Objective("sampled"), {})
        method.encoder.item_embedding.sparse = sparse
        sum(method.train()(batch()._replace(partners=None, drawn=torch.tensor([5, 9, 9]))).values()).backward()
        gradient = method.encoder.item_embedding.weight.grad
        assert gradient is not None
        gradients.append(gradient.to_dense() if sparse else gradient)
    torch.testing.assert_close(*gradients)


def test_ce_becomes_sampled_where_the_catalogue_is_very_large() -> None:
    assert Objective("sampled").samples(10)
    assert not Objective("ce").samples(200_000)
    assert Objective("ce").samples(200_001)
    assert not Objective("bce").samples(10**7)


def test_it_approaches_the_full_softmax_as_more_is_drawn() -> None:
    """The same method, the same batch: a large sample's loss is within 1 % of `ce`."""
    torch.manual_seed(0)
    encoder = build("sasrec", ITEMS, EncoderOptions(hidden=16, heads=2), Objective(), {}).encoder
    vectors, seen = F.normalize(torch.randn(len(batch().targets), 1, 16), dim=2) * 4, batch()
    negatives = Negatives(50_000)
    seen = seen._replace(drawn=negatives.draw(ITEMS, torch.Generator().manual_seed(0)))
    sampled = next_item(encoder, vectors, seen, Objective("sampled", negatives=negatives))
    assert sampled.item() == pytest.approx(next_item(encoder, vectors, seen, Objective("ce")).item(), rel=0.01)


def test_the_draws_of_a_batch_are_asked_for() -> None:
    method = build("sasrec", ITEMS, EncoderOptions(hidden=16, heads=2), Objective("sampled"), {})
    with pytest.raises(ValueError, match="needs the batch's drawn items"):
        method.train()(batch()._replace(drawn=None))
