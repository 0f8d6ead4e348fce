"""Items that must not be shown for the time being: sold out, withdrawn. No bundle has to be trained again for it."""

from collections.abc import Iterable

from service.shared_document import SharedDocument, Versioned
from service.stores.base import SequenceStore


class Unavailable(Versioned):
    """Item ids, known to a bundle or not: the next bundle may know them."""

    item_ids: frozenset[str] = frozenset()

    def changed(self, *, gone: Iterable[str] = (), back: Iterable[str] = ()) -> "Unavailable":
        """With `gone` and without `back`; an item in both is back."""
        return Unavailable(version=self.version + 1, item_ids=(self.item_ids | set(gone)) - set(back))


def availability(store: SequenceStore) -> SharedDocument[Unavailable]:
    """What a store says is not available."""
    return SharedDocument(store, "availability", Unavailable())
