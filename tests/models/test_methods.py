"""The contract of a method, held against every one there is."""

import dataclasses
from math import exp, log
from typing import Any

import pytest
import torch

from models.encoder import EncoderOptions
from models.methods import METHODS, Batch, Histories, IntentMethod, Objective, build
from models.methods.base import NextItemLoss, next_item
from training.export import export_encoder
from training.precision import mixed_precision

ITEMS, SEQUENCES, INTENTS = 40, 24, 5
ENCODER = EncoderOptions(hidden=16, layers=2, heads=2, max_length=8, dropout=0.2)
NAMES = sorted(METHODS)
LOSSES: tuple[NextItemLoss, ...] = ("bce", "ce", "in_batch", "sampled")


def test_all_methods_are_found() -> None:
    assert set(METHODS) == {"sasrec", "cl4srec", "iclrec", "elcrec", "s4rec", "dssrec"}


def make(name: str, loss: NextItemLoss = "ce", shared: float = 0.0, **options: Any) -> IntentMethod:
    torch.manual_seed(1)
    built = build(name, ITEMS, ENCODER, Objective(loss, shared), {"num_intents": INTENTS} | options)
    rows, lengths = histories()
    if built.refresh != "never":
        built.refresh_intents(built.eval().sequence_vectors(rows, lengths).detach())
    return built


@pytest.fixture(params=[(name, loss) for name in NAMES for loss in LOSSES], ids="-".join)
def method(request: pytest.FixtureRequest) -> IntentMethod:
    return make(*request.param, shared=0.1)


def histories() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    lengths = torch.randint(1, 9, (SEQUENCES,), generator=generator)
    return torch.randint(1, ITEMS + 1, (int(lengths.sum()),), generator=generator), lengths


def batch() -> Batch:
    rows, lengths = histories()
    return Batch(
        rows=rows,
        lengths=lengths,
        targets=rows.flip(0),
        negatives=rows.roll(3),
        sequences=torch.arange(SEQUENCES),
        heads=lengths > 6,
        mean_targets=float(len(rows)),
        partners=Histories(rows, lengths),
        drawn=torch.arange(1, ITEMS + 1),
    )


def learns_from(method: IntentMethod, term: str) -> set[str]:
    """The parameters that have a gradient from one term."""
    method.zero_grad()
    method.train()(batch())[term].backward()
    return {
        name for name, value in method.named_parameters() if value.grad is not None and value.grad.abs().sum() > 1e-12
    }


def test_loss_terms_are_finite_scalars_and_teach_the_encoder(method: IntentMethod) -> None:
    terms = method.train()(batch())
    for name, term in terms.items():
        assert term.shape == (), name
        assert torch.isfinite(term), name
        if (method.name, name) == ("elcrec", "cluster"):
            assert learns_from(method, name) == {"centres"}, "the sequences do not follow the centres by default"
            continue
        assert "encoder.item_embedding.weight" in learns_from(method, name), name
        gradient = method.encoder.item_embedding.weight.grad
        assert gradient is not None, name
        assert gradient[0].abs().sum() == 0, "padding must not learn"
    assert set.union(*(learns_from(method, name) for name in terms)) == {
        name for name, value in method.named_parameters() if value.requires_grad
    }, "every parameter is taught by some term"


def test_encoding_has_the_shapes_of_the_bundle(method: IntentMethod) -> None:
    encoding = method.eval().encode(*histories())
    queries = INTENTS if method.name == "dssrec" else 1
    assert encoding.query_vectors.shape == (SEQUENCES, queries, 16)
    assert method.query_vectors == queries
    assert encoding.intent_weights.shape == (SEQUENCES, INTENTS)
    torch.testing.assert_close(encoding.intent_weights.sum(1), torch.ones(SEQUENCES))
    assert method.prototypes().shape == (INTENTS, 16)


def test_neighbours_in_a_batch_do_not_change_an_encoding(method: IntentMethod) -> None:
    rows, lengths = histories()
    together = method.eval().encode(rows, lengths)
    alone = method.encode(rows[: lengths[0]], lengths[:1])
    for found, wanted in zip(together, alone, strict=True):
        torch.testing.assert_close(found[:1], wanted)


def test_an_empty_history_has_finite_vectors_and_intent_weights_that_sum_to_one(method: IntentMethod) -> None:
    encoding = method.eval().encode(torch.zeros(0, dtype=torch.long), torch.tensor([0, 0]))
    assert torch.isfinite(encoding.query_vectors).all()
    torch.testing.assert_close(encoding.intent_weights.sum(1), torch.ones(2))


def test_the_same_seed_gives_the_same_losses(method: IntentMethod) -> None:
    state = {name: value.clone() for name, value in method.state_dict().items()}

    def losses() -> list[float]:
        method.load_state_dict(state)
        torch.manual_seed(7)
        return [term.item() for term in method.train()(batch()).values()]

    assert losses() == losses()


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_changes_losses_little_and_leaves_no_trace(name: str) -> None:
    """bfloat16 has eight bits of precision; afterwards the encoder is the one that is exported."""
    method = make(name).eval()

    def losses() -> dict[str, float]:
        torch.manual_seed(3)
        return {term: value.item() for term, value in method(batch()).items()}

    exact, vectors = losses(), method.encoder(*histories())[0]
    with mixed_precision(method, torch.device("cpu")):
        assert losses() == pytest.approx(exact, rel=0.02, abs=0.02)
        rounded = method.encoder(*histories())[0]
        assert rounded.dtype == torch.float32
        assert not torch.equal(rounded, vectors)
        torch.stack(list(method(batch()).values())).sum().backward()
    assert losses() == exact


@pytest.mark.parametrize("name", NAMES)
def test_onnx_says_what_torch_says(name: str) -> None:
    """The export's own gate raises ParityError beyond 1e-4."""
    assert len(export_encoder(make(name))) > 1000


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_state_encodes_the_same(name: str) -> None:
    original, restored = make(name).eval(), build(name, ITEMS, ENCODER, Objective(), {"num_intents": INTENTS}).eval()
    restored.load_state_dict(original.state_dict())
    for found, wanted in zip(restored.encode(*histories()), original.encode(*histories()), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_partners_are_the_only_source_of_the_shared_term(name: str) -> None:
    assert "shared_next_item" in make(name, shared=0.1).train()(batch())
    assert "shared_next_item" not in make(name).train()(batch()._replace(partners=None))


def test_options_are_frozen_and_unknown_ones_are_refused() -> None:
    for name, method in METHODS.items():
        assert dataclasses.is_dataclass(method.Options), name
        assert method.Options.__dataclass_params__.frozen, name
        with pytest.raises(ValueError, match=f"options of {name}"):
            build(name, ITEMS, ENCODER, Objective(), {"no_such_option": 1})
    with pytest.raises(ValueError, match="unknown method 'mind'; there are cl4srec, dssrec"):
        build("mind", ITEMS, ENCODER, Objective(), {})
    for name in ("cl4srec", "iclrec", "elcrec", "s4rec"):
        with pytest.raises(ValueError, match="augmentations must be among crop, mask, reorder, insert"):
            build(name, ITEMS, ENCODER, Objective(), {"augmentations": ["flip"]})


@pytest.mark.parametrize(
    ("name", "options", "terms"),
    [
        ("cl4srec", {}, {"sequence_contrast"}),
        ("iclrec", {}, {"sequence_contrast", "intent_contrast"}),
        ("iclrec", {"sequence_weight": 0}, {"intent_contrast"}),
        ("iclrec", {"intent_weight": 0}, {"sequence_contrast"}),
        ("iclrec", {"sequence_weight": 0, "augmentations": []}, {"intent_contrast"}),
        ("elcrec", {}, {"cluster", "sequence_contrast", "intent_contrast"}),
        ("elcrec", {"contrast_weight": 0, "cluster_weight": 0}, set()),
        ("elcrec", {"cluster_weight": 0}, {"sequence_contrast", "intent_contrast"}),
        ("elcrec", {"contrast_weight": 0}, {"cluster"}),
        ("s4rec", {}, {"adversary", "cluster", "sequence_contrast", "distillation"}),
        ("s4rec", {"cluster_weight": 0, "contrast_weight": 0, "distillation_weight": 0}, {"adversary"}),
        ("s4rec", {"adversary_weight": 0}, {"cluster", "sequence_contrast", "distillation"}),
        ("s4rec", {"clustering": "kmeans"}, {"adversary", "sequence_contrast", "distillation"}),
        ("dssrec", {}, {"seq2seq"}),
        ("dssrec", {"seq2seq_weight": 0}, set()),
        ("dssrec", {"cluster_weight": 0.1}, {"seq2seq", "cluster"}),
    ],
)
def test_every_ablation_of_the_papers_is_an_option(name: str, options: dict[str, Any], terms: set[str]) -> None:
    found = make(name, **options).train()(batch()._replace(partners=None))
    assert set(found) == {"next_item"} | terms


def test_terms_teach_only_what_they_should() -> None:
    """The classifier is taught by the adversary alone, prototypes not as a teacher, label biases by seq2seq alone."""
    s4rec = make("s4rec")
    classifier = {"adversary.classify.weight", "adversary.classify.bias"}
    for term in ("next_item", "adversary", "cluster", "sequence_contrast", "distillation"):
        learners = learns_from(s4rec, term)
        assert classifier & learners == (classifier if term == "adversary" else set()), term
        assert ("vectors" in learners) == (term in ("cluster", "sequence_contrast")), term
    dssrec = make("dssrec", cluster_weight=0.1)
    assert "layer.centres" in learns_from(dssrec, "cluster")
    assert "layer.label_bias" in learns_from(dssrec, "seq2seq")
    assert "layer.label_bias" not in learns_from(dssrec, "next_item")
    assert learns_from(make("elcrec", cluster_teaches_encoder=True), "cluster") > {"centres"}
    assert "centres" not in {name for name, _ in make("iclrec").named_parameters()}


def test_iclrec_uses_every_k() -> None:
    built = make("iclrec", num_intents=[3, 5])
    assert [int(assigned.max()) + 1 for assigned in built.assignments] == [3, 5]  # type: ignore[attr-defined]
    assert built.prototypes().shape[0] == 3


@pytest.mark.parametrize("name", ["cl4srec", "iclrec", "elcrec", "s4rec"])
def test_cosines_ignore_the_length_of_a_view(name: str) -> None:
    """A contrast of cosines at temperature 1 over 2 x 24 views lies between the logits' extremes -1 and 1."""
    contrast = make(name, similarity="cosine").train()(batch())["sequence_contrast"].item() / 0.1
    assert 2 * log(1 + 46 * exp(-2)) < contrast < 2 * log(1 + 51 * exp(2))
    with pytest.raises(ValueError, match="similarity must be dot or cosine"):
        make(name, similarity="euclid").train()(batch())


@pytest.mark.parametrize("fusion", ["shift", "concat", "none"])
def test_elcrec_fuses_a_view_with_its_intent(fusion: str) -> None:
    fused = make("elcrec", fusion=fusion)._fused(torch.ones(2, 16), torch.full((2, 16), 2.0))  # type: ignore[operator]
    assert fused.shape == (2, 32 if fusion == "concat" else 16)
    assert fused.sum().item() == {"shift": 96, "concat": 96, "none": 32}[fusion]


def test_elcrec_centres_follow_their_sequences_by_momentum_and_idle_ones_restart() -> None:
    """Two centres on the axes, all sequences near the first: c <- normalise(.5 c + .5 mean); the other one restarts."""
    built: Any = make("elcrec", num_intents=2, momentum=0.5, patience=2)
    built.centres.copy_(torch.eye(16)[:2])
    seen = torch.nn.functional.normalize(torch.eye(16)[0] + torch.eye(16)[2], dim=0)[None]
    built._follow(seen)
    expected = torch.nn.functional.normalize(0.5 * torch.eye(16)[0] + 0.5 * seen[0], dim=0)
    torch.testing.assert_close(built.prototypes()[0], expected)
    torch.testing.assert_close(built.prototypes()[1], torch.eye(16)[1])
    built._follow(seen)
    torch.testing.assert_close(built.prototypes()[1], seen[0])


def test_only_eq_6_of_dssrec_divides_the_logits_by_the_root_of_the_width() -> None:
    in_batch: Any = make("dssrec", "in_batch").eval()
    full: Any = make("dssrec").eval()
    rows, lengths = histories()
    one = batch()._replace(partners=None, targets=torch.arange(len(rows)) % ITEMS + 1, mean_targets=1.0)
    queries = full.layer.every_position(*full.encoder(rows, lengths))[:-1]
    for built, scale in ((in_batch, 4.0), (full, 1.0)):
        expected = next_item(built.encoder, queries / scale, one, built.objective)
        torch.testing.assert_close(built(one)["next_item"], expected)


def test_dssrec_drops_what_a_category_collects_in_training_alone() -> None:
    built: Any = make("dssrec", intent_dropout=0.9)
    rows, lengths = histories()
    vectors, packing = built.eval().encoder(rows, lengths)
    clean = built.layer.newest_position(vectors, packing)[0]
    torch.testing.assert_close(clean, built.layer.newest_position(vectors, packing)[0])
    built.layer.train()
    assert not torch.allclose(clean, built.layer.newest_position(vectors, packing)[0])
    with pytest.raises(ValueError, match="intent_dropout must be in"):
        make("dssrec", intent_dropout=1.0)


def test_dssrec_reads_the_future_backwards_up_to_each_position() -> None:
    """What seq2seq predicts at position t is the encoding of x_T ... x_t+1 alone."""
    built: Any = make("dssrec").eval()
    rows = torch.tensor([3, 4, 5, 6])  # targets x_2 ... x_5; at position 2 (of x_1, x_2) the future is x_5 x_4 x_3
    whole = built.layer.every_position(*built.encoder(rows.flip(0), torch.tensor([4])), label=True)[:-1].flip(0)
    changed = built.layer.every_position(*built.encoder(torch.tensor([6, 5, 4, 9]), torch.tensor([4])), label=True)[
        :-1
    ].flip(0)
    torch.testing.assert_close(whole[1:], changed[1:])  # x_2 belongs to the past of positions 2, 3, 4
    assert not torch.allclose(whole[0], changed[0])


def test_dssrec_position_by_position_ends_where_the_served_encoding_is() -> None:
    built: Any = make("dssrec").eval()
    rows, lengths = histories()
    vectors, packing = built.encoder(rows, lengths)
    everywhere = built.layer.every_position(vectors, packing)
    torch.testing.assert_close(everywhere[packing.last], built.encode(rows, lengths).query_vectors)
