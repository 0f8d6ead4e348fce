"""The embedded store: one SQLite file in WAL mode, shared by all workers of a machine."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from service.stores import packed
from service.stores.base import Document, EventStatus, Interaction, LogEntry, StoredEvent, StoreUnavailableError

BUSY_SECONDS = 5.0
CHUNK = 500  # users asked for in one statement
DAY_SECONDS = 86_400
SWEEP_SECONDS, SWEPT = 60, 1000  # how often an append also removes what is over, and how many users at once
Answer = TypeVar("Answer")

_KEPT = "(expires IS NULL OR expires > ?)"
_STORE = (
    "INSERT INTO sequences VALUES (?, ?, ?)"
    " ON CONFLICT (user_id) DO UPDATE SET packed = excluded.packed, expires = excluded.expires"
)
_SCHEMA = (
    # expires: Unix seconds, null for never. Not WITHOUT ROWID: that takes a page of its own for a row above 1 kB.
    "CREATE TABLE IF NOT EXISTS sequences (user_id TEXT PRIMARY KEY, packed BLOB NOT NULL, expires REAL)",
    "CREATE INDEX IF NOT EXISTS expiring ON sequences (expires) WHERE expires IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, version INTEGER NOT NULL, content BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL)",
)


class SQLiteStore:
    """Reads and writes each have a thread and a connection of their own: a read does not wait for a write's fsync.

    An append is one transaction with synchronous=FULL: once it returns, its events survive a kill and a power cut.
    What is over is not seen any more, and removed by a later append.
    """

    def __init__(self, path: Path, *, stored_events: int, stored_days: float | None = None) -> None:
        """Open or create the file. Raises StoreUnavailableError."""
        self._limit = stored_events
        self._seconds = None if stored_days is None else stored_days * DAY_SECONDS
        self._next_sweep = 0.0
        self._path = path
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="sqlite-read")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            self._reader = self._connect()
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"cannot open {path}: {error}") from error

    async def append(self, events: Sequence[StoredEvent], logged: bytes = b"") -> list[EventStatus]:
        """See SequenceStore. One transaction."""
        arriving: dict[str, list[tuple[int, packed.Entry]]] = {}
        for place, event in enumerate(events):
            arriving.setdefault(event.user_id, []).append((place, packed.entry(event)))
        statuses = [EventStatus.ACCEPTED] * len(events)
        if arriving or logged:
            for place, status in await self._run(self._writing, lambda: self._append(arriving, logged)):
                statuses[place] = status
        return statuses

    async def recent_many(self, user_ids: Sequence[str]) -> list[list[Interaction]]:
        """See SequenceStore."""
        return await self._run(self._reading, lambda: self._recent_many(user_ids))

    async def erase(self, user_id: str, logged: bytes = b"") -> bool:
        """See SequenceStore. One transaction."""
        return await self._run(self._writing, lambda: self._erase(user_id, logged))

    async def everything(self) -> AsyncGenerator[StoredEvent, None]:
        """See SequenceStore. In order of user_id."""
        last = ""
        while found := await self._run(self._reading, lambda after=last: self._users_after(after)):  # type: ignore[misc]
            for last, sequence in found:
                for event in packed.events(last, sequence):
                    yield event

    async def logged(self, limit: int, after: str | None = None) -> list[LogEntry]:
        """See SequenceStore."""
        query, place = "SELECT id, content FROM log WHERE id > ? ORDER BY id LIMIT ?", (int(after or 0), limit)
        found = await self._run(self._reading, lambda: self._reader.execute(query, place).fetchall())
        return [LogEntry(f"{number:020d}", content) for number, content in found]

    async def drop_logged(self, entry_ids: Sequence[str]) -> None:
        """See SequenceStore."""
        numbers = [(int(entry_id),) for entry_id in entry_ids]
        await self._run(self._writing, lambda: self._drop_logged(numbers))

    async def logged_count(self) -> int:
        """See SequenceStore."""
        count = await self._run(self._reading, lambda: self._reader.execute("SELECT count(*) FROM log").fetchone())
        return int(count[0])

    async def logged_bytes(self) -> int:
        """See SequenceStore."""
        query = "SELECT coalesce(sum(length(content)), 0) FROM log"
        return int((await self._run(self._reading, lambda: self._reader.execute(query).fetchone()))[0])

    async def document(self, name: str, *, unless: int | None = None) -> Document | None:
        """See SequenceStore."""
        return await self._run(self._reading, lambda: self._document(name, unless))

    async def change_document(self, name: str, expected: int, document: Document) -> bool:
        """See SequenceStore."""
        return await self._run(self._writing, lambda: self._change_document(name, expected, document))

    async def ping(self) -> None:
        """See SequenceStore."""
        await self._run(self._reading, lambda: self._reader.execute("SELECT 1").fetchone())

    async def close(self) -> None:
        """See SequenceStore. Waits for what is being written."""
        for executor, connection in ((self._reading, self._reader), (self._writing, self._writer)):
            with suppress(RuntimeError):  # closed before
                await asyncio.get_running_loop().run_in_executor(executor, connection.close)
            executor.shutdown()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous=FULL")
            _create(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], Answer]) -> Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, work)
        except (sqlite3.Error, RuntimeError) as error:
            raise StoreUnavailableError(f"{self._path.name}: {error}") from error

    def _append(
        self, arriving: dict[str, list[tuple[int, packed.Entry]]], logged: bytes
    ) -> list[tuple[int, EventStatus]]:
        statuses: list[tuple[int, EventStatus]] = []
        with self._transaction():
            self._log(logged)
            self._sweep()
            for user_id, placed in arriving.items():
                merged = self._merge(user_id, [entry for _, entry in placed])
                statuses += [(place, status) for (place, _), status in zip(placed, merged, strict=True)]
        return statuses

    def _document(self, name: str, unless: int | None) -> Document | None:
        if _version(self._reader, name) == unless:
            return None
        row = self._reader.execute("SELECT version, content FROM documents WHERE name = ?", (name,)).fetchone()
        return Document(*row) if row else Document(0, b"")

    def _change_document(self, name: str, expected: int, document: Document) -> bool:
        with self._transaction():
            if unchanged := _version(self._writer, name) == expected:
                self._writer.execute("REPLACE INTO documents VALUES (?, ?, ?)", (name, *document))
        return unchanged

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def _merge(self, user_id: str, entries: list[packed.Entry]) -> list[EventStatus]:
        now = time.time()
        before = self._stored(user_id, now)
        after, statuses = packed.merge(before, entries, limit=self._limit)
        if after != before or self._seconds is not None:
            expires = None if self._seconds is None else now + self._seconds
            self._writer.execute(_STORE, (user_id, after, expires))
        return statuses

    def _stored(self, user_id: str, now: float) -> bytes:
        query = f"SELECT packed FROM sequences WHERE user_id = ? AND {_KEPT}"  # noqa: S608  # our own words
        row = self._writer.execute(query, (user_id, now)).fetchone()
        return row[0] if row else b""

    def _sweep(self) -> None:
        now = time.time()
        if now < self._next_sweep:
            return
        over = "SELECT user_id FROM sequences WHERE expires <= ? LIMIT ?"
        swept = self._writer.execute(f"DELETE FROM sequences WHERE user_id IN ({over})", (now, SWEPT)).rowcount  # noqa: S608
        self._next_sweep = now + (SWEEP_SECONDS if swept < SWEPT else 0)

    def _recent_many(self, user_ids: Sequence[str]) -> list[list[Interaction]]:
        found: dict[str, bytes] = {}
        for start in range(0, len(user_ids), CHUNK):
            chunk = user_ids[start : start + CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT user_id, packed FROM sequences WHERE user_id IN ({marks}) AND {_KEPT}"  # noqa: S608
            found.update(self._reader.execute(query, [*chunk, time.time()]).fetchall())
        return [packed.interactions(found.get(user_id), limit=self._limit) for user_id in user_ids]

    def _erase(self, user_id: str, logged: bytes) -> bool:
        with self._transaction():
            self._log(logged)
            known = self._stored(user_id, time.time()) != b""
            self._writer.execute("DELETE FROM sequences WHERE user_id = ?", (user_id,))
        return known

    def _users_after(self, user_id: str) -> list[tuple[str, bytes]]:
        query = f"SELECT user_id, packed FROM sequences WHERE user_id > ? AND {_KEPT} ORDER BY user_id LIMIT ?"  # noqa: S608
        return self._reader.execute(query, (user_id, time.time(), CHUNK)).fetchall()

    def _log(self, logged: bytes) -> None:
        if logged:
            self._writer.execute("INSERT INTO log (content) VALUES (?)", (logged,))

    def _drop_logged(self, numbers: list[tuple[int]]) -> None:
        with self._transaction():
            self._writer.executemany("DELETE FROM log WHERE id = ?", numbers)


def _create(connection: sqlite3.Connection) -> None:
    """The tables, and what a file of an earlier version lacks."""
    columns = [column for _, column, *_ in connection.execute("PRAGMA table_info(sequences)")]
    if columns and "expires" not in columns:
        with suppress(sqlite3.OperationalError):  # another worker adds it at the same time
            connection.execute("ALTER TABLE sequences ADD COLUMN expires REAL")
    for statement in _SCHEMA:
        connection.execute(statement)


def _version(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT version FROM documents WHERE name = ?", (name,)).fetchone()
    return row[0] if row else 0


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Workers that open a new file together collide here, and SQLite's own waiting does not cover the switch."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
