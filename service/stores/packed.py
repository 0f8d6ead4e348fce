"""One user's sequence as bytes: records laid end to end, oldest first.

A record is timestamp (7 bytes, microseconds), event key (6 bytes), length of the item_id (2 bytes), item_id (UTF-8),
all big-endian: 25 bytes for an item_id of 10. Redis' script (append.lua) reads and writes the same form.
"""

from collections.abc import Iterable

from service.stores.base import EventStatus, Interaction

HEADER = 15
Record = tuple[int, int, bytes]  # timestamp, event key, item_id; tuples sort in the order of a sequence


def unpack(packed: bytes) -> list[Record]:
    """Bytes -> records, in their order."""
    records: list[Record] = []
    at, end = 0, len(packed)
    while at < end:
        length = int.from_bytes(packed[at + 13 : at + HEADER], "big")
        timestamp = int.from_bytes(packed[at : at + 7], "big")
        key = int.from_bytes(packed[at + 7 : at + 13], "big")
        records.append((timestamp, key, packed[at + HEADER : at + HEADER + length]))
        at += HEADER + length
    return records


def pack(records: Iterable[Record]) -> bytes:
    """Records -> bytes."""
    return b"".join(
        timestamp.to_bytes(7, "big") + key.to_bytes(6, "big") + len(item).to_bytes(2, "big") + item
        for timestamp, key, item in records
    )


def interactions(packed: bytes | None) -> list[Interaction]:
    """Bytes -> what the user interacted with, oldest first."""
    return [Interaction(item.decode(), timestamp) for timestamp, _, item in unpack(packed or b"")]


def merge(packed: bytes, arriving: Iterable[Record], *, limit: int) -> tuple[bytes, list[EventStatus]]:
    """Add records to a sequence and keep the newest `limit` -> the new sequence and a status for each record.

    >>> packed, statuses = merge(b"", [(2, 7, b"b"), (1, 5, b"a"), (2, 7, b"b")], limit=2)
    >>> [item for _, _, item in unpack(packed)], [status.value for status in statuses]
    ([b'a', b'b'], ['accepted', 'accepted', 'duplicate'])
    """
    kept = {key: (timestamp, key, item) for timestamp, key, item in unpack(packed)}
    statuses = [_add(kept, record, limit) for record in arriving]
    return pack(sorted(kept.values())), statuses


def _add(kept: dict[int, Record], record: Record, limit: int) -> EventStatus:
    key = record[1]
    if (known := kept.get(key)) is not None:
        kept[key] = max(known, record)
        return EventStatus.DUPLICATE
    kept[key] = record
    if len(kept) > limit:
        oldest = min(kept.values())
        del kept[oldest[1]]
        if oldest is record:
            return EventStatus.LATE
    return EventStatus.ACCEPTED
