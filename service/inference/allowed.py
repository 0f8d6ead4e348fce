"""Which items may be shown, in the forms that rankings take."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.inference.encoder import Floats

HIDDEN = np.float32("-inf")  # added to a score: the item is never shown


class Allowed:
    """Some of the V items of a catalogue. Each form is made when it is first asked for."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        """`mask` (V): true for an item that may be shown."""
        self.mask = mask

    def within(self, other: "Allowed | None") -> "Allowed":
        """The items of both."""
        return self if other is None else Allowed(self.mask & other.mask)

    def others(self) -> "Allowed":
        """All items but these."""
        return Allowed(~self.mask)

    @cached_property
    def penalties(self) -> Floats:
        """(V): what to add to the items' scores."""
        return np.where(self.mask, np.float32(0), HIDDEN)

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """The mask, eight items a byte, the first in the lowest bit."""
        return np.packbits(self.mask, bitorder="little")

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Places of the allowed items, ascending, the first item's being 0."""
        return np.flatnonzero(self.mask)
