"""From the store's buffer to files, by whoever holds the lease."""

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar
from uuid import uuid4

from service.errors import ConflictError
from service.event_log.aside import LEFT_SECONDS
from service.event_log.entries import Erasure, LoggedEvent, decoded
from service.event_log.files import EventFiles
from service.event_log.telemetry import BUFFERED, EXPOSURES_WRITTEN, WRITTEN
from service.experiments.exposures import BEGINNING
from service.shared_document import SharedDocument, Versioned
from service.stores.base import LogEntry, SequenceStore, StoreUnavailableError

log = logging.getLogger("intently")
AT_ONCE, BYTES_AT_ONCE = 2000, 32 << 20  # of the buffer's entries, each up to 1,000 events or 64 exposures
PAGE, PAGE_BYTES = 100, 1 << 20  # read at once, about: for longer a store would keep others waiting
REMEMBERED_SECONDS = 600.0
LEASE_SECONDS, RENEWED_SECONDS = 20.0, 5.0  # a writer that was killed keeps others waiting for so long
BELIEVED_SECONDS = 2 * LEASE_SECONDS  # a lease that goes on for longer was written by a clock that was wrong
Values = ParamSpec("Values")
Result = TypeVar("Result")


class Lease(Versioned):
    """Who writes, and until when (Unix seconds)."""

    holder: str = ""
    until: float = 0.0


class LogWriter:
    """One of them, among all replicas, writes at a time."""

    def __init__(self, store: SequenceStore, files: EventFiles, *, seconds: float, days: int | None) -> None:
        """Write every `seconds`; keep `days` days, None: for ever."""
        self._store = store
        self._files = files.checked(self._check)
        self._seconds = seconds
        self._days = days
        self._name = uuid4().hex
        self._one_at_a_time = asyncio.Lock()
        self._tidied, self._until = -math.inf, -math.inf  # when, and how long it writes, by time.monotonic()
        self._erased: dict[str, float] = {}  # user_id -> when, Unix seconds
        self.writes = False  # whether this one held the lease when it last asked
        self._lease = SharedDocument(store, "event-log-writer", Lease())

    async def run(self) -> None:
        """For ever; what goes wrong is logged and tried again. Between two writes the lease is prolonged."""
        due = time.monotonic() + self._seconds
        while True:
            await asyncio.sleep(min(self._seconds, RENEWED_SECONDS))
            try:
                if not await self._held():
                    BUFFERED.set(await self._store.logged_bytes())  # what its own last write left is long gone
                elif time.monotonic() >= due:
                    due = time.monotonic() + self._seconds
                    await asyncio.shield(self.write())  # `close` waits for it
            except Exception as error:  # DuckDB, the disk, the store: the buffer still holds what was not written
                log.error("the event log cannot be written: %s", error)

    async def write(self) -> int:
        """Move everything that is buffered now to files -> how many events and exposures. 0 without the lease.

        Raises StoreUnavailableError, ConflictError, OSError, duckdb.Error; then nothing is lost.
        """
        async with self._one_at_a_time:
            return await self._written()

    async def _written(self) -> int:
        written = 0
        waiting = await self._store.logged_count()
        BUFFERED.set(await self._store.logged_bytes())  # now, because what follows may fail
        if not await self._held():
            return 0
        if time.monotonic() > self._tidied + LEFT_SECONDS:
            await self._while_held(self._files.tidy)  # erased users may be in it
            self._tidied = time.monotonic()
        if self._days is not None:
            await self._keep(self._days)
        while waiting > 0 and await self._held() and (entries := await self._next()):
            written += await self._while_held(self._move, entries)
            await self._store.drop_logged([entry.entry_id for entry in entries])
            waiting -= len(entries)  # what comes meanwhile waits, or under load a small file would follow another
        BUFFERED.set(await self._store.logged_bytes())
        if settled := await self._while_held(self._files.settle):
            log.info("event log: %d files can be read again, and hold nothing of erased users any more", settled)
        await self._while_held(self._files.merge, datetime.now(UTC).date())
        return written

    async def _keep(self, days: int) -> None:
        """Before all else, so that a full disk has room again; but what cannot be removed keeps nobody from writing."""
        try:
            for day in await self._while_held(self._files.keep, days, datetime.now(UTC).date()):
                log.info("event log: %s is older than %d days and gone", day, days)
        except OSError as error:
            log.error("event log: days older than %d days cannot be removed: %s", days, error)

    async def _next(self) -> list[LogEntry]:
        """The oldest entries, so many that they fit into memory."""
        entries: list[LogEntry] = []
        size, limit = 0, 1
        while len(entries) < AT_ONCE and size < BYTES_AT_ONCE:
            page = await self._store.logged(limit, after=entries[-1].entry_id if entries else None)
            entries += page
            size += sum(len(entry.content) for entry in page)
            if len(page) < limit:
                break
            limit = max(1, min(PAGE, PAGE_BYTES * len(entries) // max(1, size)))
        return entries

    async def close(self) -> None:
        """Write what is there and let another take over at once."""
        try:
            await self.write()
        except Exception as error:  # as in `run`
            log.warning("the event log could not be written to its end: %s", error)
        try:
            await self._lease.change(self._given_up)
        except (StoreUnavailableError, ConflictError) as error:
            log.warning("another writer of the event log has to wait for this one's lease to run out: %s", error)

    def _move(self, entries: list[LogEntry]) -> int:
        """Entries in their order: an erasure takes what was received before it, in this batch and in the files."""
        events: list[LoggedEvent] = []
        erasures: list[Erasure] = []
        exposures = [entry.content for entry in entries if entry.content.startswith(BEGINNING)]
        for entry in (entry for entry in entries if not entry.content.startswith(BEGINNING)):
            for one in decoded(entry.content):
                if isinstance(one, Erasure):
                    erasures.append(one)
                    events = [event for event in events if event.user_id != one.user_id]
                else:
                    events.append(one)
        if events:
            self._files.add(events, _name(entries))
            WRITTEN.inc(len(events))
        self._remember(erasures)
        exposed = self._files.add_exposures(exposures, _name(entries), self._erased) if exposures else 0
        EXPOSURES_WRITTEN.inc(exposed)
        if rewritten := self._files.erase(erasures):
            log.info("event log: %d users erased from %d files", len(erasures), rewritten)
        return len(events) + exposed

    def _remember(self, erasures: Iterable[Erasure]) -> None:
        """For exposures, which may arrive a little after an erasure that came after them."""
        now = time.time()
        self._erased = {user_id: at for user_id, at in self._erased.items() if at > now - REMEMBERED_SECONDS}
        self._erased |= {one.user_id: one.received for one in erasures}

    async def _while_held(self, work: Callable[Values, Result], *values: Values.args, **more: Values.kwargs) -> Result:
        """What comes of work in a thread, while which the lease is prolonged."""
        working = asyncio.create_task(asyncio.to_thread(work, *values, **more))
        while not (await asyncio.wait([working], timeout=RENEWED_SECONDS))[0]:
            try:
                await self._held()
            except StoreUnavailableError as error:  # it is tried again, and `_check` knows how long that is good for
                log.warning("the event log's lease could not be prolonged: %s", error)
        return await working

    def _check(self) -> None:
        """Raises ConflictError for one that was stopped, or without the store, for so long that another may write."""
        if time.monotonic() > self._until:
            raise ConflictError("the event log's lease ran out or was taken while a file was being written")

    async def _held(self) -> bool:
        """Whether this writer holds the lease, which it prolongs or takes if it can."""
        now, until = time.time(), time.monotonic() + LEASE_SECONDS

        def take(lease: Lease) -> Lease:
            if lease.holder not in ("", self._name) and now < lease.until < now + BELIEVED_SECONDS:
                raise ConflictError("another writer holds the lease")
            return Lease(version=lease.version + 1, holder=self._name, until=now + LEASE_SECONDS)

        try:
            await self._lease.change(take)
            self.writes, self._until = True, until
        except ConflictError:
            self.writes, self._until = False, -math.inf
        return self.writes

    def _given_up(self, lease: Lease) -> Lease:
        mine = lease.holder == self._name
        return Lease(version=lease.version + 1) if mine else lease.model_copy(update={"version": lease.version + 1})


def _name(entries: list[LogEntry]) -> str:
    """Of a file: the same entries have the same one, and those of a store that began anew, and counts anew, another."""
    digest = hashlib.sha256(b"".join(entry.content for entry in entries)).hexdigest()
    return f"{entries[0].entry_id}-{digest[:16]}"
