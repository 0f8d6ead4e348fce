"""A store filled from a log or from another store."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from service.events import identity
from service.log_tables import read_log, rejected_rows
from service.stores.base import Document, SequenceStore, StoredEvent, event_key
from service.timestamps import MICROSECONDS

BATCH = 5000  # events a write
EXAMPLES = 10  # of rejected rows
DOCUMENTS = ("control", "availability")


@dataclass
class Loaded:
    """What became of a log."""

    users: int = 0
    events: int = 0  # stored: of each user at most as many as a sequence holds
    rejected: int = 0
    examples: list[str] = field(default_factory=list)  # of rejected rows: line and reason


async def load(
    log: Path,
    store: SequenceStore,
    *,
    stored_events: int,
    types: frozenset[str],
    progress: Callable[[int], None] = lambda _: None,
) -> Loaded:
    """Store each user's newest events of a CSV, a Parquet file, or a directory of Parquet files (the event log).

    Columns: user_id, item_id, timestamp (Unix seconds or RFC 3339), and, if there, event_id and type, of which only
    `types` count. Loading the same log again changes nothing. `progress` gets the events of each write.

    Raises ValueError for a log without these columns, StoreUnavailableError.
    """
    done = Loaded()
    with duckdb.connect() as connection:
        read_log(connection, log)
        rejected = rejected_rows(connection)
        done.rejected = len(rejected)
        done.examples = [f"line {line}: {reason}" for line, reason in rejected[:EXAMPLES]]
        batches = _newest(connection, stored_events, types)
        batch = next(batches, [])
        while batch:
            _, following = await asyncio.gather(store.append(batch), asyncio.to_thread(next, batches, []))
            done.events += len(batch)
            progress(len(batch))
            batch = following
        (done.users,) = connection.execute("SELECT count(DISTINCT user_id) FROM wanted").fetchone() or (0,)
    return done


async def migrate(source: SequenceStore, target: SequenceStore, progress: Callable[[int], None]) -> int:
    """Copy every sequence and the shared documents -> how many events. What the target knows already stays.

    Raises StoreUnavailableError.
    """
    copied = 0
    async for batch in _batches(source):
        await target.append(batch)
        copied += len(batch)
        progress(len(batch))
    for name in DOCUMENTS:
        document = await source.document(name)
        if document is not None and document.version > 0:
            await target.change_document(name, 0, Document(document.version, document.content))
    return copied


async def _batches(source: SequenceStore) -> AsyncIterator[list[StoredEvent]]:
    batch: list[StoredEvent] = []
    async for event in source.everything():
        batch.append(event)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _newest(
    connection: duckdb.DuckDBPyConnection, stored_events: int, types: frozenset[str]
) -> Iterator[list[StoredEvent]]:
    """The newest good events of each user, a user's own together."""
    connection.execute(
        """
        CREATE TABLE wanted AS
        SELECT user_id, item_id, seconds, event_id, coalesce(type, 'click') AS type FROM events
        WHERE reason IS NULL AND (type IS NULL OR list_contains($2, type))
        QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY seconds DESC, row DESC) <= $1
        """,
        [stored_events, sorted(types)],
    )
    cursor = connection.cursor().execute("FROM wanted ORDER BY user_id, seconds")
    while rows := cursor.fetchmany(BATCH):
        yield [_event(*row) for row in rows]


def _event(user_id: str, item_id: str, seconds: float, event_id: str | None, kind: str) -> StoredEvent:
    timestamp = round(seconds * MICROSECONDS)
    known = event_id or identity(user_id, item_id, kind, timestamp)
    return StoredEvent(user_id, item_id, timestamp, event_key(known))
