"""Posts that no file may hold yet: when the store has begun anew, whoever took them hands them in again."""

import logging
import secrets
import time
from collections import deque
from collections.abc import Iterable
from itertools import groupby, islice

from service.event_log.entries import Erasure, LoggedEvent, decoded, encoded
from service.stores.base import Document, SequenceStore, StoredEvent, event_key

log = logging.getLogger("intently")
BEGINNING = "beginning"  # a document whose version is drawn when the store is first used
LARGEST = 32 << 20  # bytes kept by a worker
AT_ONCE = 1000  # events handed in together, as one post may hold
SLACK = 10.0  # seconds the event log's writer may take to write


class RecentPosts:
    """Those of one worker. What the event log's files hold, `intently-serve load` brings back."""

    def __init__(self, store: SequenceStore, sequence_types: frozenset[str], *, written_every: float) -> None:
        """`written_every`: seconds between writes of the event log."""
        self._store = store
        self._types = sequence_types
        self._seconds = 2 * written_every + SLACK
        self._age = 0.0  # seconds in which the store was there and the same: while it is away nobody writes files
        self._looked: float | None = None  # time.monotonic of the last look that found it so, None after another
        self._kept: deque[tuple[float, bytes]] = deque()  # with the age at which it came
        self._size = 0
        self._beginning: int | None = None
        self._forgotten: list[Erasure] = []

    def keep(self, logged: bytes) -> None:
        """The store has this post."""
        self._kept.append((self._age, logged))
        self._size += len(logged)
        while self._size > LARGEST:
            self._drop_oldest()

    async def follow(self) -> int:
        """Look whether the store is still the same; if not, hand in again what was kept -> how many posts.

        Raises StoreUnavailableError; then it is done at the next call.
        """
        last, self._looked = self._looked, None
        beginning = await self._found()
        await self._forget()
        if self._beginning is None or beginning == self._beginning:
            self._beginning = beginning
            self._grow_older(last)
            return 0
        posts = [logged for _, logged in self._kept]
        await self._again(one for logged in posts for one in decoded(logged))
        self._beginning = beginning
        if posts:
            log.warning("the store has begun anew: the last %d posts of events were handed in again", len(posts))
        return len(posts)

    async def _found(self) -> int:
        """What tells this store from the one before it."""
        found = await self._store.document(BEGINNING, unless=self._beginning)
        if found is None:
            assert self._beginning is not None  # what was not changed is known
            return self._beginning
        if found.version:
            return found.version
        drawn = Document(1 + secrets.randbelow(2**52), b"")
        return drawn.version if await self._store.change_document(BEGINNING, 0, drawn) else await self._found()

    def _grow_older(self, last: float | None) -> None:
        """By the time since the last look. What is old enough to be in a file is kept no longer."""
        self._looked = time.monotonic()
        self._age += 0.0 if last is None else self._looked - last
        while self._kept and self._kept[0][0] < self._age - self._seconds:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._size -= len(self._kept.popleft()[1])

    async def _again(self, entries: Iterable[LoggedEvent | Erasure]) -> None:
        """In their order; events together, so that a long list does not take a round trip and a sync for each post."""
        for _, its in groupby(entries, type):
            while some := list(islice(its, AT_ONCE)):
                if events := [one for one in some if isinstance(one, LoggedEvent)]:
                    await self._store.append([_stored(one) for one in events if one.type in self._types], encoded(some))
                for erased in (one for one in some if isinstance(one, Erasure)):
                    await self._store.erase(erased.user_id, encoded([erased]))
                    self._forgotten.append(erased)

    async def _forget(self) -> None:
        """Once more, because another worker may have handed in what came before the erasure."""
        while self._forgotten:
            await self._store.erase(self._forgotten[-1].user_id, encoded(self._forgotten[-1:]))
            self._forgotten.pop()


def _stored(event: LoggedEvent) -> StoredEvent:
    return StoredEvent(event.user_id, event.item_id, round(event.timestamp * 1e6), event_key(event.event_id))
