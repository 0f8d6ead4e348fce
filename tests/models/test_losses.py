"""Losses against values one can work out by hand."""

from math import e, log

import pytest
import torch
import torch.nn.functional as F

from models.losses import next_item
from models.losses.cluster_distillation import cluster_distillation
from models.losses.head_tail import HeadTailAdversary
from models.losses.info_nce import info_nce
from models.losses.latent_seq2seq import kept_samples, latent_seq2seq
from models.losses.learnable_cluster import learnable_cluster
from models.losses.next_item import binary_cross_entropy, cross_entropy
from models.losses.online_cluster import online_cluster
from models.losses.prototype_contrast import all_prototypes_contrast, prototype_contrast
from models.losses.shared_next_item import shared_next_item


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


def test_products_in_bfloat16_change_loss_and_gradient_by_its_rounding_alone() -> None:
    """Eight bits of precision; sums over many items and positions lose less."""
    torch.manual_seed(0)
    vectors, items = torch.randn(64, 1, 32, requires_grad=True), torch.randn(1000, 32, requires_grad=True)
    targets = torch.randint(1, 1001, (64,))
    losses = [cross_entropy(vectors, items, targets, products_in=kind) for kind in (torch.float32, torch.bfloat16)]
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=2e-3)
    exact, rounded = (torch.autograd.grad(loss, (vectors, items)) for loss in losses)
    for wanted, found in zip(exact, rounded, strict=True):
        assert found.dtype == torch.float32
        assert 0 < (found - wanted).norm() < 0.01 * wanted.norm()


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


def test_several_queries_score_by_the_best_and_share_one_softmax() -> None:
    """DSSRec eq. 6: the best query scores 2, the denominator holds both queries' scores of both items."""
    queries = torch.tensor([[[1.0], [2.0]]])
    items = torch.tensor([[1.0], [0.0]])
    wanted = -2 + log(e + e**2 + 2)
    assert cross_entropy(queries, items, torch.tensor([1])).item() == pytest.approx(wanted, rel=1e-6)
    binary = binary_cross_entropy(queries, items, torch.tensor([1]), torch.tensor([2]))
    assert binary.item() == pytest.approx(log(1 + e**-2) + log(2), rel=1e-6)


def test_several_queries_have_the_gradient_of_the_plain_formula() -> None:
    torch.manual_seed(0)
    queries, items = torch.randn(6, 3, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    targets = torch.randint(1, 10, (6,))
    scores = queries @ items.T  # (6, 3, 9)
    own = scores[torch.arange(6), :, targets - 1].amax(1)
    plain = (scores.flatten(1).logsumexp(1) - own).sum()
    found = cross_entropy(queries, items, targets)
    torch.testing.assert_close(found, plain)
    wanted = torch.autograd.grad(plain, (queries, items))
    torch.testing.assert_close(torch.autograd.grad(found, (queries, items)), wanted)


def test_negative_intents_join_the_denominator_except_the_own() -> None:
    """S4Rec eq. 10: partner at 1, two strangers and one foreign prototype at 0: -ln(e / (e + 3))."""
    prototypes = torch.eye(3)[:, :2]  # the third is orthogonal to both
    own = info_nce(torch.eye(2), torch.eye(2), prototypes=prototypes[:2], intents=torch.tensor([0, 1]))
    assert own.item() == pytest.approx(2 * log((e + 3) / e), rel=1e-6)


def test_balanced_batch_costs_its_entropy() -> None:
    """1 / ln 3 turns scores 1 and 0 into odds 3 : 1, so q = p = [3/4, 1/4]."""
    loss = online_cluster(torch.eye(2), torch.eye(2), temperature=1 / log(3), epsilon=1 / log(3))
    entropy = -(0.75 * log(0.75) + 0.25 * log(0.25))  # 0.5623
    assert loss.item() == pytest.approx(entropy, rel=1e-6)


def test_online_clustering_spreads_a_batch_that_prefers_one_prototype() -> None:
    """Both sequences lie on prototype 0, so half of their balanced mass, 1/2 each, belongs to prototype 1."""
    sequences = torch.eye(2)[[0, 0]]
    loss = online_cluster(sequences, torch.eye(2), temperature=1.0)
    assert loss.item() == pytest.approx(-0.5 * log(e / (e + 1)) - 0.5 * log(1 / (e + 1)), rel=1e-5)


def test_learnable_cluster_on_the_axes() -> None:
    """|c1 - c2|^2 = 2; the sequence on c1 is 0 and 2 away from the centres: -2 + 1."""
    assert learnable_cluster(torch.eye(2)[:1], torch.eye(2)).item() == pytest.approx(-1)


def test_learnable_cluster_equals_its_sums_over_pairs() -> None:
    torch.manual_seed(0)
    sequences, centres = torch.randn(5, 3), torch.randn(4, 3)
    apart = torch.cdist(centres, centres).square().sum() / (4 * 3)
    wanted = torch.cdist(sequences, centres).square().mean() - apart
    torch.testing.assert_close(learnable_cluster(sequences, centres), wanted)


def test_every_other_prototype_is_a_negative() -> None:
    """Own centre at 1, two others at 0, though no sequence of the batch has them: ln((e + 2) / e)."""
    loss = all_prototypes_contrast(torch.eye(3)[:1], torch.eye(3), torch.tensor([0]))
    assert loss.item() == pytest.approx(log((e + 2) / e), rel=1e-6)


def test_distillation_is_the_divergence_of_teacher_and_student() -> None:
    """ln 3 turns [1, 0] into [3/4, 1/4]; the student is uniform: 3/4 ln 3/2 + 1/4 ln 1/2. A twin costs nothing."""
    prototypes = torch.tensor([[1.0, 0.0]])
    intents = torch.tensor([0])
    loss = cluster_distillation(torch.zeros(1, 2), prototypes, intents, temperature=1 / log(3))
    assert loss.item() == pytest.approx(0.75 * log(1.5) + 0.25 * log(0.5), rel=1e-6)
    assert cluster_distillation(prototypes, prototypes, intents).item() == pytest.approx(0, abs=1e-7)


def test_gradient_reversal_flips_the_encoders_gradient_only() -> None:
    torch.manual_seed(0)
    adversary, heads = HeadTailAdversary(4, reversal=0.5), torch.tensor([True, False, True])
    vectors = torch.randn(3, 4, requires_grad=True)
    plain = F.cross_entropy(adversary.classify(vectors), heads.long())
    wanted = torch.autograd.grad(plain, (vectors, adversary.classify.weight))
    found = torch.autograd.grad(adversary(vectors, heads), (vectors, adversary.classify.weight))
    torch.testing.assert_close(found[0], -0.5 * wanted[0])
    torch.testing.assert_close(found[1], wanted[1])


@pytest.mark.parametrize(
    ("share", "batch", "intents", "kept"), [(0.5, 3, 3, 5), (0.1, 10, 3, 3), (1, 4, 2, 8), (0.01, 2, 2, 1)]
)
def test_seq2seq_keeps_exactly_its_share(share: float, batch: int, intents: int, kept: int) -> None:
    """ceil(share B K); only those samples have a gradient."""
    torch.manual_seed(0)
    past = torch.randn(batch, intents, 4, requires_grad=True)
    future = torch.randn(batch, intents, 4)
    latent_seq2seq(past, future, kept_share=share).backward()
    assert past.grad is not None
    assert (past.grad.abs().sum(2) > 0).sum().item() == kept == kept_samples(share, batch * intents)


def test_seq2seq_of_orthogonal_intents() -> None:
    """Two intents at score 1 / sqrt 2 against one stranger at 0: ln(1 + e^(-1 / sqrt 2))."""
    phi = torch.eye(2)[None]
    assert latent_seq2seq(phi, phi, kept_share=1).item() == pytest.approx(log(1 + e ** -(2**-0.5)), rel=1e-6)


def test_sharing_the_next_item_is_no_negative() -> None:
    """The first two share item 7: each of them has only the third as a negative, the third has both."""
    vectors = torch.eye(3)
    loss = shared_next_item(2 * vectors, vectors, torch.tensor([7, 7, 9]), temperature=1)
    one, two = log((e + 1) / e), log((e + 2) / e)
    assert loss.item() == pytest.approx(2 * (2 * one + two) / 3, rel=1e-6)
