"""Laws of the augmentations on packed histories."""

import pytest
import torch

from models.augmentation import augment, crop, insert, mask, reorder

LENGTHS = torch.tensor([10, 1, 5])
ROWS = torch.arange(1, 17)  # 1..10, 11, 12..16
MASK = 99


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(3)


def test_crop_keeps_a_contiguous_part_of_each_history() -> None:
    """floor(.4 * 10) = 4, at least one of 1, floor(.4 * 5) = 2."""
    rows, lengths = crop(ROWS, LENGTHS, ratio=0.4)
    assert lengths.tolist() == [4, 1, 2]
    first, second, third = rows.split(lengths.tolist())
    for part, low, high in ((first, 1, 10), (second, 11, 11), (third, 12, 16)):
        assert (part.diff() == 1).all()
        assert low <= part.min()
        assert part.max() <= high


def test_mask_replaces_exactly_its_share() -> None:
    """floor(.7 * 10) = 7, floor(.7) = 0, floor(.7 * 5) = 3; the others stay where they are."""
    masked = mask(ROWS, LENGTHS, mask_row=MASK, ratio=0.7)
    assert [(part == MASK).sum().item() for part in masked.split(LENGTHS.tolist())] == [7, 0, 3]
    assert torch.equal(masked[masked != MASK], ROWS[masked != MASK])


def test_reorder_shuffles_one_window() -> None:
    """Each history keeps its items; outside one window of half its length nothing moves."""
    for _ in range(20):
        moved = reorder(ROWS, LENGTHS, ratio=0.5)
        for before, after in zip(ROWS.split(LENGTHS.tolist()), moved.split(LENGTHS.tolist()), strict=True):
            assert sorted(after.tolist()) == before.tolist()
            changed = (before != after).nonzero().flatten()
            assert len(changed) == 0 or changed.max() - changed.min() < len(before) // 2


def test_views_differ_and_stay_in_their_histories() -> None:
    rows, lengths = augment(ROWS.repeat(30), LENGTHS.repeat(30), mask_row=MASK, max_length=10)
    assert (lengths >= 1).all()
    assert set(rows.tolist()) <= {*range(1, 17), MASK}
    assert len({tuple(view.tolist()) for view in rows.split(lengths.tolist())}) > 30


def test_insert_adds_items_of_the_batch_and_keeps_the_order() -> None:
    """ceil(.2 * 10) = 2, ceil(.2) = 1, and at a max_length of 5 nothing joins the third."""
    rows, lengths = insert(ROWS, LENGTHS, ROWS, ratio=0.2, max_length=12)
    assert lengths.tolist() == [12, 2, 6]
    for before, after in zip(ROWS.split(LENGTHS.tolist()), rows.split(lengths.tolist()), strict=True):
        own = iter(after.tolist())
        assert all(item in own for item in before.tolist()), "the history is still there, in its order"
        assert set(after.tolist()) <= set(range(1, 17))
    assert insert(ROWS[-5:], LENGTHS[-1:], ROWS, ratio=0.2, max_length=5)[1].tolist() == [5]


def test_what_is_inserted_was_an_item_before_others_were_masked() -> None:
    """Each view adds two to ten items, which are no mask; a masked view has floor(.7 * 10) of them."""
    views, lengths = augment(
        torch.arange(1, 2001), torch.full((200,), 10), ("mask", "insert"), mask_row=-1, max_length=50
    )
    found = {(len(view), int((view == -1).sum())) for view in views.split(lengths.tolist())}
    assert found == {(10, 7), (12, 0)}


def test_without_operations_a_view_is_the_history() -> None:
    rows, lengths = augment(ROWS, LENGTHS, (), mask_row=MASK, max_length=10)
    assert torch.equal(rows, ROWS)
    assert torch.equal(lengths, LENGTHS)
