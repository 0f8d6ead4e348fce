"""Six items: what each condition lets through can be read off the table."""

import tracemalloc

import pytest

from service.bundle.contents import Item
from service.catalogue import BYTES, Catalogue
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
    assert _shown(Catalogue(ITEMS), filters) == through


def test_columns_are_what_some_item_has() -> None:
    assert Catalogue(ITEMS).columns == ["category", "price", "sale", "tags"]
    assert Catalogue(ITEMS[5:]).columns == []


def test_selections_in_use_are_kept_and_others_forgotten() -> None:
    """However the filters are written, the object is the same, until as many others as fit were asked for since."""
    kept = 10
    catalogue = Catalogue(ITEMS, kept_bytes=kept * BYTES * len(ITEMS))
    first = catalogue.allowed({"category": ["bags", "shoes"], "price": 3.0})
    for number in range(kept - 1):
        catalogue.allowed({"price": number + 0.5})
    assert catalogue.allowed({"price": "3", "category": ["shoes", "bags"]}) is first
    for number in range(kept):
        catalogue.allowed({"price": number + 0.25})
    assert catalogue.allowed({"price": 3, "category": ["bags", "shoes"]}) is not first


def test_a_long_filter_takes_no_more_room_than_a_short_one() -> None:
    """Callers choose them: 100 of 1 MB each would be 100 MB."""
    catalogue = Catalogue(ITEMS)
    tracemalloc.start()
    for number in range(100):
        catalogue.allowed({"category": [str(number), "x" * 1_000_000]})
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1_000_000


def test_hidden_items_come_through_no_filter_until_they_are_back() -> None:
    catalogue = Catalogue(ITEMS)
    assert _shown(catalogue, {"category": "shoes"}) == "ab"
    catalogue.hide([2, 3])
    assert _shown(catalogue, {}) == "adef"
    assert _shown(catalogue, {"category": ["shoes", "bags"]}) == "ae"
    catalogue.hide([])
    assert catalogue.allowed({}) is None
    assert _shown(catalogue, {"category": "shoes"}) == "ab"


def _shown(catalogue: Catalogue, filters: dict[str, Condition]) -> str:
    allowed = catalogue.allowed(filters)
    return "".join(item.item_id for place, item in enumerate(ITEMS) if allowed is None or allowed.mask[place])


def test_a_title_is_what_the_item_has_an_empty_one_too() -> None:
    titles = [None, "", "Chaise longue \u00e9l\u00e9gante \U0001f6cb", None, "b"]
    catalogue = Catalogue([Item(item_id=str(place), title=title) for place, title in enumerate(titles)])
    assert [catalogue.title(row) for row in range(1, 6)] == titles
