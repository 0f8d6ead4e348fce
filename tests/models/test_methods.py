"""The contract of a method, held against every one there is."""

import dataclasses

import pytest
import torch

from models.encoder import EncoderOptions
from models.methods import METHODS, Batch, IntentMethod, build

ITEMS, SEQUENCES, INTENTS = 40, 24, 5
ENCODER = EncoderOptions(hidden=16, layers=2, heads=2, max_length=8, dropout=0.2)


def test_all_methods_are_found() -> None:
    assert set(METHODS) == {"sasrec", "iclrec"}


@pytest.fixture(params=[(name, loss) for name in sorted(METHODS) for loss in ("bce", "ce")], ids="-".join)
def method(request: pytest.FixtureRequest) -> IntentMethod:
    torch.manual_seed(1)
    name, loss = request.param
    built = build(name, ITEMS, ENCODER, loss, {"num_intents": INTENTS})
    rows, lengths = histories()
    built.refresh_intents(built.sequence_vectors(rows, lengths).detach())
    return built


def histories() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    lengths = torch.randint(1, 9, (SEQUENCES,), generator=generator)
    return torch.randint(1, ITEMS + 1, (int(lengths.sum()),), generator=generator), lengths


def batch() -> Batch:
    rows, lengths = histories()
    return Batch(rows, lengths, rows.flip(0), rows.roll(3), torch.arange(SEQUENCES), float(len(rows)))


def test_loss_terms_are_finite_scalars_and_teach_the_encoder(method: IntentMethod) -> None:
    for name, term in method.train()(batch()).items():
        assert term.shape == (), name
        assert torch.isfinite(term), name
        method.zero_grad()
        term.backward(retain_graph=True)
        gradient = method.encoder.item_embedding.weight.grad
        assert gradient is not None, name
        assert gradient.abs().sum() > 0, name
        assert gradient[0].abs().sum() == 0, "padding must not learn"


def test_encoding_has_the_shapes_of_the_bundle(method: IntentMethod) -> None:
    encoding = method.eval().encode(*histories())
    assert encoding.query_vectors.shape == (SEQUENCES, 1, 16)
    assert encoding.intent_weights.shape == (SEQUENCES, INTENTS)
    torch.testing.assert_close(encoding.intent_weights.sum(1), torch.ones(SEQUENCES))
    assert method.prototypes().shape == (INTENTS, 16)


def test_neighbours_in_a_batch_do_not_change_an_encoding(method: IntentMethod) -> None:
    rows, lengths = histories()
    together = method.eval().encode(rows, lengths)
    alone = method.encode(rows[: lengths[0]], lengths[:1])
    for found, wanted in zip(together, alone, strict=True):
        torch.testing.assert_close(found[:1], wanted)


def test_the_same_seed_gives_the_same_losses(method: IntentMethod) -> None:
    def losses() -> list[float]:
        torch.manual_seed(7)
        return [term.item() for term in method.train()(batch()).values()]

    assert losses() == losses()


def test_options_are_frozen_and_unknown_ones_are_refused() -> None:
    for name, method in METHODS.items():
        assert dataclasses.is_dataclass(method.Options), name
        assert method.Options.__dataclass_params__.frozen, name
        with pytest.raises(ValueError, match=f"options of {name}"):
            build(name, ITEMS, ENCODER, "ce", {"no_such_option": 1})
    with pytest.raises(ValueError, match="unknown method 'mind'; there are iclrec, sasrec"):
        build("mind", ITEMS, ENCODER, "ce", {})


def test_iclrec_uses_every_k() -> None:
    built = build("iclrec", ITEMS, ENCODER, "ce", {"num_intents": [3, 5]})
    rows, lengths = histories()
    built.refresh_intents(built.sequence_vectors(rows, lengths).detach())
    assert [int(assigned.max()) + 1 for assigned in built.assignments] == [3, 5]  # type: ignore[attr-defined]
    assert built.prototypes().shape[0] == 3
