"""Laws of the packed encoder."""

import dataclasses

import pytest
import torch

from models.encoder import EncoderOptions, SequenceEncoder, last_vectors, mean_vectors
from models.packing import pack_index, ragged_arange, reverse_each

OPTIONS = EncoderOptions(hidden=8, layers=2, heads=2, max_length=6, dropout=0.5)


@pytest.fixture
def encoder() -> SequenceEncoder:
    torch.manual_seed(0)
    return SequenceEncoder(20, OPTIONS).eval()


def pack(*histories: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.tensor([row for history in histories for row in history], dtype=torch.long)
    return rows, torch.tensor([len(history) for history in histories])


def test_packing_of_three_histories_with_an_empty_one() -> None:
    """Lengths 2, 0, 1: positions 0 and 1 belong to the first, 2 to the third, 3 is the spare."""
    packing = pack_index(torch.tensor([5, 6, 7]), torch.tensor([2, 0, 1]))
    assert packing.segments.tolist() == [0, 0, 2, 3]
    assert packing.recency.tolist()[:3] == [1, 0, 0]
    assert packing.slots.tolist()[:3] == [0, 1, 4]
    assert packing.filled.squeeze(1).tolist() == [1, 0, 1]


def test_ragged_arange_counts_from_each_start() -> None:
    assert ragged_arange(torch.tensor([3, 9]), torch.tensor([2, 3])).tolist() == [3, 4, 9, 10, 11]


def test_neighbours_in_a_batch_do_not_change_an_encoding(encoder: SequenceEncoder) -> None:
    alone = last_vectors(*encoder(*pack([3, 4])))
    together = last_vectors(*encoder(*pack([1, 2, 3, 4, 5, 6], [3, 4], [])))
    torch.testing.assert_close(together[1:2], alone)


def test_the_future_does_not_change_the_past(encoder: SequenceEncoder) -> None:
    """Causal: with positions counted from the newest, [1, 2] shifted by one position still ignores the 3 after it."""
    one, _ = encoder(*pack([1, 2, 3]))
    other, _ = encoder(*pack([1, 2, 9]))
    torch.testing.assert_close(one[:2], other[:2])
    assert not torch.allclose(one[2], other[2])


def test_an_empty_history_is_zero_and_has_no_gradient_trouble(encoder: SequenceEncoder) -> None:
    vectors, packing = encoder(*pack([], []))
    assert last_vectors(vectors, packing).tolist() == [[0.0] * 8] * 2
    assert mean_vectors(vectors, packing).tolist() == [[0.0] * 8] * 2


def test_the_mean_is_over_real_positions_only(encoder: SequenceEncoder) -> None:
    vectors, packing = encoder(*pack([1, 2], [4, 5, 6]))
    torch.testing.assert_close(mean_vectors(vectors, packing)[0], vectors[:2].mean(0))
    torch.testing.assert_close(mean_vectors(vectors, packing)[1], vectors[2:5].mean(0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"hidden": 9}, "multiple of heads"), ({"layers": 0}, "at least 1"), ({"dropout": 1.0}, r"\[0, 1\)")],
)
def test_impossible_sizes_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EncoderOptions(**wrong)


def test_every_sequence_is_turned_around_in_its_place() -> None:
    assert reverse_each(torch.tensor([1, 2, 3, 4, 5, 6]), torch.tensor([3, 0, 1, 2])).tolist() == [3, 2, 1, 4, 6, 5]


def test_items_of_fixed_length_differ_by_direction_alone() -> None:
    """(3, 4, 0 ...) and (6, 8, 0 ...) point the same way: both are sqrt 8 long, of which 3 / 5 and 4 / 5."""
    encoder = SequenceEncoder(2, dataclasses.replace(OPTIONS, fixed_item_length=True))
    with torch.no_grad():
        encoder.item_weights()[:] = torch.tensor([[3.0, 4.0, 0, 0, 0, 0, 0, 0], [6.0, 8.0, 0, 0, 0, 0, 0, 0]])
    expected = torch.tensor([0.6, 0.8, 0, 0, 0, 0, 0, 0]) * 8**0.5
    torch.testing.assert_close(encoder.item_vectors(), torch.stack([expected, expected]))
    torch.testing.assert_close(encoder.item_vectors(torch.tensor([2])), expected[None])
