"""Which items a filter lets through."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.bundle.contents import Item
from service.inference.retrieval import Mask
from service.schemas import Condition, Range, Scalar

CATEGORY = "category"
KEPT = 256  # masks, of one byte an item each


class Catalogue:
    """Items by category and attribute. Values are compared as text: 3, 3.0 and "3" are the same, so are true, "true".

    An attribute that is a list lets its item through if any of its values is wanted.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        """`items` in row order."""
        self._count = len(items)
        found: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for place, item in enumerate(items):
            for column, value in _known(item):
                found[column][_text(value)].append(place)
        self._places = {
            column: {value: np.array(places) for value, places in values.items()} for column, values in found.items()
        }
        self.columns = sorted(self._places)  # what can be filtered by
        self._masks: OrderedDict[tuple[Any, ...], Mask] = OrderedDict()

    def mask(self, filters: Mapping[str, Condition]) -> Mask:
        """The items (V) that meet every condition; the same array for the same filters while it is in use.

        A column that no item has lets nothing through.
        """
        key = tuple(sorted((column, _key(condition)) for column, condition in filters.items()))
        if (mask := self._masks.pop(key, None)) is None:
            mask = np.ones(self._count, dtype=np.bool_)
            for column, condition in filters.items():
                mask &= self._meets(column, condition)
        self._masks[key] = mask
        while len(self._masks) > KEPT:
            self._masks.popitem(last=False)
        return mask

    def _meets(self, column: str, condition: Condition) -> Mask:
        values = self._places.get(column, {})
        mask = np.zeros(self._count, dtype=np.bool_)
        if isinstance(condition, Range):
            wanted: Iterable[NDArray[np.int64]] = (
                places for text, places in values.items() if _inside(text, condition)
            )
        else:
            listed = condition if isinstance(condition, list) else [condition]
            wanted = (values[text] for text in map(_text, listed) if text in values)
        for places in wanted:
            mask[places] = True
        return mask


def _known(item: Item) -> Iterable[tuple[str, Scalar]]:
    for column, value in (*item.attributes.items(), (CATEGORY, item.category)):
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str | int | float):
                yield column, one


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _inside(text: str, wanted: Range) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return (wanted.min is None or value >= wanted.min) and (wanted.max is None or value <= wanted.max)


def _key(condition: Condition) -> tuple[Any, ...]:
    if isinstance(condition, Range):
        return ("range", str(condition.min), str(condition.max))
    return tuple(sorted(map(_text, condition if isinstance(condition, list) else [condition])))
