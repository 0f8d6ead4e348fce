"""The fixed two-way map item_id <-> item row of one bundle."""

from collections.abc import Iterable, Sequence

from service.bundle.pacing import gently


class Vocabulary:
    """Rows run from 1 to V in the order of `item_ids`; row 0 is padding and names no item."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        """Raise ValueError for an item_id that occurs twice."""
        self._item_ids = list(item_ids)
        self._rows = {item_id: row for row, item_id in enumerate(gently(self._item_ids), start=1)}
        if len(self._rows) != len(self._item_ids):
            raise ValueError(f"{len(self._item_ids) - len(self._rows)} item_ids occur twice in the vocabulary")

    def __len__(self) -> int:
        return len(self._item_ids)

    def row(self, item_id: str) -> int | None:
        """The item's row, or None for an item this bundle lacks."""
        return self._rows.get(item_id)

    def item_id(self, row: int) -> str:
        """The item_id at `row` (1..V)."""
        if not 1 <= row <= len(self._item_ids):
            raise IndexError(f"item row {row} is outside 1..{len(self._item_ids)}")
        return self._item_ids[row - 1]

    def split_known(self, item_ids: Iterable[str]) -> tuple[list[int], list[str]]:
        """Rows of the known items, in order, and the ids of the unknown ones, in order."""
        rows: list[int] = []
        unknown: list[str] = []
        for item_id in item_ids:
            row = self._rows.get(item_id)
            if row is None:
                unknown.append(item_id)
            else:
                rows.append(row)
        return rows, unknown

    def known_rows(self, item_ids: Iterable[str]) -> set[int]:
        """Rows of the known items among `item_ids`."""
        rows = set(map(self._rows.get, item_ids))
        rows.discard(None)
        return rows  # type: ignore[return-value]  # None is gone
