"""Laws of K-means on the sphere."""

import pytest
import torch
import torch.nn.functional as F

from models.clustering import kmeans, nearest, sinkhorn
from models.intents import KMeansIntents


def test_three_directions_are_three_intents() -> None:
    torch.manual_seed(0)
    vectors = torch.eye(3).repeat_interleave(20, 0) * 5 + 0.1 * torch.randn(60, 3)
    assigned, cosines = nearest(F.normalize(vectors, dim=1), kmeans(vectors, 3))
    assert [len(set(part.tolist())) for part in assigned.split(20)] == [1, 1, 1]
    assert len(set(assigned.tolist())) == 3
    assert cosines.min() > 0.95


def test_no_prototype_stays_unused() -> None:
    """Started from two equal prototypes, the one that gets nothing moves to the worst-served vector."""
    vectors = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    found = kmeans(vectors, 2, initial=torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert set(nearest(F.normalize(vectors, dim=1), found)[0].tolist()) == {0, 1}


def test_a_warm_start_keeps_the_ids() -> None:
    torch.manual_seed(0)
    vectors = torch.eye(4).repeat_interleave(10, 0) + 0.05 * torch.randn(40, 4)
    intents = KMeansIntents(4, 4)
    before = intents.refresh(vectors)
    assert torch.equal(before, intents.refresh(vectors + 0.01))


def test_weights_are_a_distribution_led_by_the_nearest() -> None:
    intents = KMeansIntents(2, 2)
    intents.prototypes.copy_(torch.eye(2))
    weights = intents.weights(torch.tensor([[3.0, 0.0]]))
    odds = torch.tensor(10.0).exp()  # cosines 1 and 0 at temperature .1
    torch.testing.assert_close(weights, torch.stack([odds, torch.tensor(1.0)])[None] / (1 + odds))


def test_fewer_sequences_than_intents_are_refused() -> None:
    with pytest.raises(ValueError, match="3 intents need at least as many sequences, got 2"):
        kmeans(torch.eye(2), 3)


def test_sinkhorn_balances_rows_and_columns() -> None:
    """Rows sum to 1 exactly; with iterations the columns approach B / K, however one-sided the scores."""
    torch.manual_seed(0)
    scores = torch.rand(64, 4)
    scores[:, 0] += 1.0
    plan = sinkhorn(scores, epsilon=0.2, iterations=50)
    torch.testing.assert_close(plan.sum(1), torch.ones(64))
    torch.testing.assert_close(plan.sum(0), torch.full((4,), 16.0), rtol=0.01, atol=0)


def test_a_small_epsilon_does_not_overflow() -> None:
    assert torch.isfinite(sinkhorn(torch.tensor([[1.0, -1.0], [1.0, -1.0]]), epsilon=1e-3)).all()
