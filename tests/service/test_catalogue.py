"""Six items: what each condition lets through can be read off the table."""

import pytest

from service.bundle.contents import Item
from service.catalogue import KEPT, Catalogue
from service.schemas import Condition, Range

ITEMS = [
    Item(item_id="a", category="shoes", attributes={"price": 10, "tags": ["red", "new"], "sale": True}),
    Item(item_id="b", category="shoes", attributes={"price": "20.5", "tags": ["blue"], "sale": False}),
    Item(item_id="c", category="bags", attributes={"price": 30.0, "tags": [], "sale": "true"}),
    Item(item_id="d", category=None, attributes={"price": None}),
    Item(item_id="e", category="bags", attributes={"price": "much"}),
    Item(item_id="f", attributes={"nested": {"x": 1}}),
]


@pytest.mark.parametrize(
    ("filters", "through"),
    [
        ({"category": "shoes"}, "ab"),
        ({"category": ["bags", "hats"]}, "ce"),
        ({"category": "hats"}, ""),
        ({"tags": "new"}, "a"),
        ({"tags": ["blue", "red"], "category": "shoes"}, "ab"),
        ({"price": 30}, "c"),
        ({"price": "30"}, "c"),
        ({"price": Range(min=10, max=20.5)}, "ab"),
        ({"price": Range(min=20.5)}, "bc"),
        ({"price": Range(max=9)}, ""),
        ({"sale": True}, "ac"),
        ({"sale": False}, "b"),
        ({"nested": 1}, ""),
        ({}, "abcdef"),
    ],
)
def test_items_that_meet_every_condition_come_through(filters: dict[str, Condition], through: str) -> None:
    mask = Catalogue(ITEMS).mask(filters)
    assert "".join(item.item_id for item, one in zip(ITEMS, mask, strict=True) if one) == through


def test_columns_are_what_some_item_has() -> None:
    assert Catalogue(ITEMS).columns == ["category", "price", "sale", "tags"]
    assert Catalogue(ITEMS[5:]).columns == []


def test_masks_in_use_are_kept_and_others_forgotten() -> None:
    """However the filters are written, the array is the same, until KEPT others have been asked for since."""
    catalogue = Catalogue(ITEMS)
    first = catalogue.mask({"category": ["bags", "shoes"], "price": 3.0})
    for number in range(KEPT - 1):
        catalogue.mask({"price": number + 0.5})
    assert catalogue.mask({"price": "3", "category": ["shoes", "bags"]}) is first
    for number in range(KEPT):
        catalogue.mask({"price": number + 0.25})
    assert catalogue.mask({"price": 3, "category": ["bags", "shoes"]}) is not first
