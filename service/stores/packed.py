"""One user's sequence as bytes: entries laid end to end, oldest first.

An entry is timestamp (7 bytes, microseconds), event key (6 bytes), length of the item_id (2 bytes), item_id (UTF-8),
all big-endian: 25 bytes for an item_id of 10. Redis' script (append.lua) reads and writes the same form.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from struct import Struct
from struct import error as StructError

from service.stores.base import EventStatus, Interaction, StoredEvent, StoreUnavailableError

HEADER = Struct(">QIBH")  # timestamp and the key's first byte, the key's next 4, its last, length of the item_id
TIMESTAMPS = 2**53  # Lua's doubles are exact below
EVENT_KEYS = 2**48
ITEM_BYTES = 2**16
Entry = tuple[int, int, bytes]  # timestamp, event key, item_id; tuples sort in the order of a sequence


def entry(event: StoredEvent) -> Entry:
    """What is stored of an event. Raises ValueError for what the form cannot hold."""
    item = event.item_id.encode()
    if not 0 <= event.timestamp < TIMESTAMPS:
        raise ValueError(f"timestamp must be 0 <= microseconds < 2**53, got {event.timestamp}")
    if not 0 <= event.event_key < EVENT_KEYS:
        raise ValueError(f"event_key must be 0 <= key < 2**48, got {event.event_key}")
    if len(item) >= ITEM_BYTES:
        raise ValueError(f"item_id must be shorter than {ITEM_BYTES} bytes of UTF-8, got {len(item)}")
    return event.timestamp, event.event_key, item


def unpack(packed: bytes) -> list[Entry]:
    """Bytes -> entries, in their order. Raises StoreUnavailableError for bytes cut short."""
    entries: list[Entry] = []
    at, end, header = 0, len(packed), HEADER.size
    try:
        while at < end:
            head, middle, last, length = HEADER.unpack_from(packed, at)
            stop = at + header + length
            entries.append((head >> 8, (head & 255) << 40 | middle << 8 | last, packed[at + header : stop]))
            at = stop
    except StructError:
        at += header  # what the header alone would have needed
    if at != end:
        raise StoreUnavailableError(f"a stored sequence must end with an entry, got {end} bytes of {at}")
    return entries


def pack(entries: Iterable[Entry]) -> bytes:
    """Entries -> bytes."""
    return b"".join(
        timestamp.to_bytes(7, "big") + key.to_bytes(6, "big") + len(item).to_bytes(2, "big") + item
        for timestamp, key, item in entries
    )


def events(user_id: str, packed: bytes) -> list[StoredEvent]:
    """Bytes -> the events they were made of, oldest first. Raises StoreUnavailableError for damaged bytes."""
    return [StoredEvent(user_id, item.decode(), timestamp, key) for timestamp, key, item in unpack(packed)]


def interactions(packed: bytes | None, *, limit: int) -> list[Interaction]:
    """Bytes -> the newest `limit` interactions, oldest first. Raises StoreUnavailableError for damaged bytes."""
    try:
        return [Interaction(item.decode(), timestamp) for timestamp, _, item in unpack(packed or b"")[-limit:]]
    except UnicodeDecodeError as error:
        raise StoreUnavailableError(f"a stored item_id must be UTF-8: {error}") from error


def merge(packed: bytes, arriving: Iterable[Entry], *, limit: int) -> tuple[bytes, list[EventStatus]]:
    """Add entries to a sequence and keep the newest `limit` -> the new sequence and a status for each entry.

    >>> packed, statuses = merge(b"", [(2, 7, b"b"), (1, 5, b"a"), (2, 7, b"b")], limit=2)
    >>> [item for _, _, item in unpack(packed)], [status.value for status in statuses]
    ([b'a', b'b'], ['accepted', 'accepted', 'duplicate'])
    """
    kept = unpack(packed)[-limit:]  # fewer than are stored when the limit was lowered
    by_key = {known[1]: known for known in kept}
    statuses = [_add(kept, by_key, new, limit) for new in arriving]
    return pack(kept), statuses


def _add(kept: list[Entry], by_key: dict[int, Entry], new: Entry, limit: int) -> EventStatus:
    if (known := by_key.get(new[1])) is not None:
        if new > known:
            del kept[bisect_left(kept, known)]
            insort(kept, new)
            by_key[new[1]] = new
        return EventStatus.DUPLICATE
    if len(kept) == limit:
        if new < kept[0]:
            return EventStatus.LATE
        del by_key[kept.pop(0)[1]]
    insort(kept, new)
    by_key[new[1]] = new
    return EventStatus.ACCEPTED
