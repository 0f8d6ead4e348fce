"""Which items may be shown: what is available, and what a filter lets through."""

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.bundle.contents import Item
from service.bundle.pacing import gently
from service.fields import Scalar, as_text
from service.inference.allowed import Allowed
from service.schemas import Condition, Range

CATEGORY = "category"
NO_CATEGORY = -1
NO_TITLE = b"\xff"  # which no text is in UTF-8
BYTES = 5  # of a selection, an item
FEWEST_KEPT = 8


class _Available(NamedTuple):
    """What may be shown at all, and the selections made from it so far."""

    items: Allowed | None  # None: every item
    selections: OrderedDict[bytes, Allowed]  # by what was asked for


class Catalogue:
    """Items by category and attribute, and their titles.

    Values are compared as text: 3, 3.0 and "3" are the same, so are true, "true". An attribute that is a list lets its
    item through if any of its values is wanted. `groups` (V) numbers the categories.
    """

    def __init__(self, items: Sequence[Item], *, kept_bytes: int = 64 << 20) -> None:
        """`items` in row order. At most `kept_bytes` of selections are kept for filters that come again."""
        self._count = len(items)
        found: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for place, item in enumerate(gently(items)):
            for column, value in _known(item):
                found[column][as_text(value)].append(place)
        self._places = {
            column: {value: np.array(places) for value, places in values.items()} for column, values in found.items()
        }
        self.columns = sorted(self._places)  # what can be filtered by
        categories = {category: number for number, category in enumerate(self._places.get(CATEGORY, {}))}
        self.groups = np.array([categories.get(as_text(item.category or ""), NO_CATEGORY) for item in gently(items)])
        titles = [NO_TITLE if item.title is None else item.title.encode() for item in gently(items)]
        self._titles, self._title_ends = b"".join(titles), np.cumsum([0, *map(len, titles)])  # little beside objects
        self._kept = max(FEWEST_KEPT, kept_bytes // (BYTES * max(self._count, 1)))
        self._available = _Available(None, OrderedDict())

    def title(self, row: int) -> str | None:
        """That of an item row, if it has one."""
        title = self._titles[self._title_ends[row - 1] : self._title_ends[row]]
        return None if title == NO_TITLE else title.decode()

    def hide(self, rows: Iterable[int]) -> None:
        """From now on these item rows are not available, all others are."""
        hidden = np.array(list(rows), dtype=np.int64)
        mask = np.ones(self._count, dtype=np.bool_)
        mask[hidden - 1] = False
        self._available = _Available(Allowed(mask) if len(hidden) else None, OrderedDict())  # one assignment

    def allowed(self, filters: Mapping[str, Condition]) -> Allowed | None:
        """The available items that meet every condition, None for all; the same object for the same filters.

        A column that no item has lets nothing through.
        """
        available = self._available
        if not filters:
            return available.items
        key = _key(filters)
        if (chosen := available.selections.pop(key, None)) is None:
            mask = np.ones(self._count, dtype=np.bool_) if available.items is None else available.items.mask.copy()
            for column, condition in filters.items():
                mask &= self._meets(column, condition)
            chosen = Allowed(mask)
        available.selections[key] = chosen
        while len(available.selections) > self._kept:
            available.selections.popitem(last=False)
        return chosen

    def _meets(self, column: str, condition: Condition) -> NDArray[np.bool_]:
        values = self._places.get(column, {})
        mask = np.zeros(self._count, dtype=np.bool_)
        if isinstance(condition, Range):
            wanted: Iterable[NDArray[np.int64]] = (
                places for text, places in values.items() if _inside(text, condition)
            )
        else:
            listed = condition if isinstance(condition, list) else [condition]
            wanted = (values[text] for text in map(as_text, listed) if text in values)
        for places in wanted:
            mask[places] = True
        return mask


def _known(item: Item) -> Iterable[tuple[str, Scalar]]:
    for column, value in (*item.attributes.items(), (CATEGORY, item.category)):
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str | int | float):
                yield column, one


def _inside(text: str, wanted: Range) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return (wanted.min is None or value >= wanted.min) and (wanted.max is None or value <= wanted.max)


def _key(filters: Mapping[str, Condition]) -> bytes:
    """The same however the filters are written, and as short for long ones, which callers may choose at will."""
    asked = sorted((column, _asked(condition)) for column, condition in filters.items())
    return hashlib.blake2b(repr(asked).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _asked(condition: Condition) -> tuple[Any, ...]:
    if isinstance(condition, Range):
        return ("range", str(condition.min), str(condition.max))
    return tuple(sorted(map(as_text, condition if isinstance(condition, list) else [condition])))
