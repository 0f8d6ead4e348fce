"""The second stage in torch: its loss by hand, what its gates see, what it must not look at."""

from math import log

import pytest
import torch

from models.losses.entire_space import entire_space
from models.ranker import Examination, Ranker, RankerOptions

CONTEXT, INTENTS, DIMENSIONS = 3, 4, 5


def ranker(**options: object) -> Ranker:
    torch.manual_seed(1)
    return Ranker(CONTEXT, INTENTS, DIMENSIONS, RankerOptions(**options)).eval()  # type: ignore[arg-type]


def asked(users: int, each: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    count = users * each
    return {
        "context": torch.randn(users, CONTEXT, generator=generator),
        "intent_weights": torch.rand(users, INTENTS, generator=generator).softmax(dim=1),
        "owners": torch.arange(users).repeat_interleave(each),
        "item_vectors": torch.randn(count, DIMENSIONS, generator=generator),
        "facts": torch.randn(count, 3, generator=generator),
    }


def test_a_click_needs_a_look_and_a_conversion_needs_a_click() -> None:
    """Logits 0, looked at with 1/2: p(click) = 1/4, p(conversion) = 1/8. Of two items one is clicked, none converts."""
    half = torch.tensor([log(0.5)] * 2)
    terms = entire_space(torch.zeros(2), torch.zeros(2), half, torch.tensor([1.0, 0.0]), torch.zeros(2))
    assert terms["click"].item() == pytest.approx(-(log(1 / 4) + log(3 / 4)) / 2)
    assert terms["conversion"].item() == pytest.approx(-log(7 / 8))


def test_the_loss_is_finite_where_a_click_is_certain() -> None:
    certain = torch.tensor([100.0], requires_grad=True)
    terms = entire_space(certain, certain, torch.zeros(1), torch.zeros(1), torch.zeros(1))
    loss = terms["click"] + terms["conversion"]
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert certain.grad is not None
    assert torch.isfinite(certain.grad).all()


def test_places_start_at_their_click_rates_and_far_ones_count_as_the_last() -> None:
    """Clicks of 20 %, 10 %, 5 %: the second place is looked at half as often as the first, those behind a quarter."""
    seen = Examination(torch.tensor([0.2, 0.1, 0.05]))
    assert seen.log_seen(torch.tensor([0, 1, 2, 9])).exp().tolist() == pytest.approx([1, 0.5, 0.25, 0.25])


@pytest.mark.parametrize("clusters", [0, 3])
def test_neighbours_in_a_batch_do_not_change_an_answer(clusters: int) -> None:
    its, both = ranker(clusters=clusters), asked(users=2, each=3)
    together = its(**both)
    first = {name: value[: 3 if len(value) == 6 else 1] for name, value in both.items() if name != "owners"}
    alone = its(**first, owners=torch.zeros(3, dtype=torch.long))
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one[:3], other)


def test_the_score_counts_only_with_a_known_history() -> None:
    """Who has no history has intent weights of zero, and a score that is no score."""
    its, known = ranker(), asked(users=1, each=4)
    other = known | {"facts": known["facts"] + torch.tensor([5.0, 0.0, 0.0])}
    assert not torch.equal(its(**known)[0], its(**other)[0])
    unknown = {"intent_weights": torch.zeros(1, INTENTS)}
    torch.testing.assert_close(its(**known | unknown)[0], its(**other | unknown)[0])


def test_clusters_reach_the_gates() -> None:
    """Moving the centres changes an answer with clusters; the gates as they are see the user alone."""
    question = asked(users=3, each=2)
    for clusters, moved in ((4, True), (0, False)):
        its = ranker(clusters=clusters)
        before = its(**question)[0]
        with torch.no_grad():
            its.centres.copy_(-its.centres)
        assert torch.equal(before, its(**question)[0]) is not moved
    assert ranker(clusters=4).cluster_shares(torch.randn(5, 32)).sum(dim=1).tolist() == pytest.approx([1.0] * 5)


def test_the_cluster_loss_teaches_the_centres_alone() -> None:
    its = ranker(clusters=4)
    question = asked(users=6, each=1)
    its.cluster_loss(its.users(question["context"], question["intent_weights"])).backward()  # type: ignore[no-untyped-call]
    assert its.centres.grad is not None
    assert its.centres.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in its.user.parameters())


def test_training_starts_from_what_it_will_see() -> None:
    """Facts 1 and 3 have mean 2 and deviation sqrt 2; the centres are K-means centres: unit vectors, all different."""
    its, question = ranker(clusters=2), asked(users=8, each=1)
    its.start(torch.tensor([[1.0, 3.0, 0.0], [3.0, 3.0, 2.0]]), 0.5, (question["context"], question["intent_weights"]))
    assert its.facts_mean.tolist() == [2, 3, 1]
    assert its.facts_scale.tolist() == pytest.approx([2**0.5, 1e-6, 2**0.5])
    assert its.centres.norm(dim=1).tolist() == pytest.approx([1, 1])
    assert not torch.allclose(its.centres[0], its.centres[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [({"clusters": 1}, "at least 2"), ({"experts": 0}, "experts must be at least 1"), ({"temperature": 0}, "above 0")],
)
def test_sizes_that_cannot_be_are_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RankerOptions(**options)  # type: ignore[arg-type]
