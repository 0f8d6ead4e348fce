"""What a sequence store promises."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol


class StoreUnavailableError(Exception):
    """The store did not answer in time or refused; what was asked may or may not have happened."""


class EventStatus(StrEnum):
    """What became of one event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    LATE = "late"  # older than everything kept of a user whose sequence is full


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of a user's sequence."""

    user_id: str
    item_id: str
    timestamp: int  # Unix microseconds, 0 <= timestamp < 2**53
    event_key: int  # 48 bits, see `event_key`


class Interaction(NamedTuple):
    """An item a user interacted with, and when (Unix microseconds)."""

    item_id: str
    timestamp: int


class Document(NamedTuple):
    """Something all processes agree upon; version 0, with no content, before it was first written."""

    version: int
    content: bytes


class LogEntry(NamedTuple):
    """Something buffered for the event log; ids ascend."""

    entry_id: str
    content: bytes


def event_key(event_id: str) -> int:
    """48 bits of SHA-256: what remains of an event_id in the store."""
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:6], "big")


class SequenceStore(Protocol):
    """Keeps the newest `stored_events` of each user by (timestamp, event_key).

    The state depends only on the SET of events received: permuted, repeated or re-batched they leave the same
    state. Of two events with one event_key the newer by (timestamp, item_id) stands.
    All methods raise StoreUnavailableError.
    """

    async def append(self, events: Sequence[StoredEvent], logged: bytes = b"") -> list[EventStatus]:
        """Store events of any users; when this returns, they are stored as durably as the store can.

        What is `logged` is buffered for the event log in the same write.
        """
        ...

    async def recent_many(self, user_ids: Sequence[str]) -> list[list[Interaction]]:
        """Each user's stored interactions, oldest first; empty for a user without any."""
        ...

    async def erase(self, user_id: str, logged: bytes = b"") -> bool:
        """Forget a user; whether there was anything to forget. `logged` as in `append`."""
        ...

    def everything(self) -> AsyncGenerator[StoredEvent, None]:
        """Every stored event, a user's own together and oldest first; for moving to another store."""
        ...

    async def logged(self, limit: int, after: str | None = None) -> list[LogEntry]:
        """The oldest entries of the event log's buffer, or the oldest after that entry."""
        ...

    async def drop_logged(self, entry_ids: Sequence[str]) -> None:
        """They are in files now."""
        ...

    async def logged_count(self) -> int:
        """How many entries are buffered."""
        ...

    async def logged_bytes(self) -> int:
        """How much room they take, roughly; 0 for none."""
        ...

    async def document(self, name: str, *, unless: int | None = None) -> Document | None:
        """A document that all processes share; None when its version is `unless`, which costs little."""
        ...

    async def change_document(self, name: str, expected: int, document: Document) -> bool:
        """Write it if its version still is `expected`; whether it was."""
        ...

    async def ping(self) -> None:
        """Return if the store answers."""
        ...

    async def close(self) -> None:
        """Release connections and threads."""
        ...
