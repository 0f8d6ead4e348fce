"""The embedded store: one SQLite file in WAL mode, shared by all workers of a machine."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from service.stores import packed
from service.stores.base import EventStatus, Interaction, StoredEvent, StoreUnavailableError

BUSY_SECONDS = 5.0
CACHE_CHUNK = 500  # users asked for in one statement
Answer = TypeVar("Answer")

_SCHEMA = "CREATE TABLE IF NOT EXISTS sequences (user_id TEXT PRIMARY KEY, packed BLOB NOT NULL) WITHOUT ROWID"


class SQLiteStore:
    """Reads and writes each have a thread and a connection of their own: a read does not wait for a write's fsync.

    An append is one transaction with synchronous=FULL: once it returns, its events survive a kill and a power cut.
    """

    def __init__(self, path: Path, *, stored_events: int) -> None:
        """Open or create the file. Raises StoreUnavailableError."""
        self._limit = stored_events
        self._path = path
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="sqlite-read")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            self._writer.execute(_SCHEMA)
            self._reader = self._connect()
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"cannot open {path}: {error}") from error

    async def append(self, events: Sequence[StoredEvent]) -> list[EventStatus]:
        """See SequenceStore."""
        return await self._run(self._writing, lambda: self._append(events))

    async def recent_many(self, user_ids: Sequence[str]) -> list[list[Interaction]]:
        """See SequenceStore."""
        return await self._run(self._reading, lambda: self._recent_many(user_ids))

    async def erase(self, user_id: str) -> bool:
        """See SequenceStore."""
        return await self._run(self._writing, lambda: self._erase(user_id))

    async def ping(self) -> None:
        """See SequenceStore."""
        await self._run(self._reading, lambda: self._reader.execute("SELECT 1").fetchone())

    async def close(self) -> None:
        """See SequenceStore."""
        for executor, connection in ((self._reading, self._reader), (self._writing, self._writer)):
            executor.submit(connection.close).result()
            executor.shutdown()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], Answer]) -> Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, work)
        except (sqlite3.Error, RuntimeError) as error:
            raise StoreUnavailableError(f"{self._path.name}: {error}") from error

    def _append(self, events: Sequence[StoredEvent]) -> list[EventStatus]:
        places: dict[str, list[int]] = {}
        for place, event in enumerate(events):
            places.setdefault(event.user_id, []).append(place)
        statuses = [EventStatus.ACCEPTED] * len(events)
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            for user_id, its in places.items():
                records = [(events[i].timestamp, events[i].event_key, events[i].item_id.encode()) for i in its]
                for place, status in zip(its, self._merge(user_id, records), strict=True):
                    statuses[place] = status
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        return statuses

    def _merge(self, user_id: str, records: list[packed.Record]) -> list[EventStatus]:
        row = self._writer.execute("SELECT packed FROM sequences WHERE user_id = ?", (user_id,)).fetchone()
        before: bytes = row[0] if row else b""
        after, statuses = packed.merge(before, records, limit=self._limit)
        if after != before:
            self._writer.execute("REPLACE INTO sequences VALUES (?, ?)", (user_id, after))
        return statuses

    def _recent_many(self, user_ids: Sequence[str]) -> list[list[Interaction]]:
        found: dict[str, bytes] = {}
        for start in range(0, len(user_ids), CACHE_CHUNK):
            chunk = user_ids[start : start + CACHE_CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT user_id, packed FROM sequences WHERE user_id IN ({marks})"  # noqa: S608  # marks only
            found.update(self._reader.execute(query, list(chunk)).fetchall())
        return [packed.interactions(found.get(user_id)) for user_id in user_ids]

    def _erase(self, user_id: str) -> bool:
        return self._writer.execute("DELETE FROM sequences WHERE user_id = ?", (user_id,)).rowcount > 0
