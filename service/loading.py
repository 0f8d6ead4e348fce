"""A store filled from a log or from another store."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from service.event_log.files import event_files
from service.events import identity
from service.stores.base import Document, SequenceStore, StoredEvent, event_key
from service.timestamps import LATEST, MICROSECONDS

BATCH = 5000  # events a write
EXAMPLES = 10  # of rejected rows
ID_BYTES = 256  # characters of an id, at most
DOCUMENTS = ("control", "availability")
_SECONDS = "coalesce(TRY_CAST(timestamp AS DOUBLE), epoch(TRY_CAST(timestamp AS TIMESTAMPTZ)))"
_ID = f"NOT BETWEEN 1 AND {ID_BYTES} THEN 'wanted 1 to {ID_BYTES} characters as "
_REASON = f"""
    CASE WHEN coalesce(length(user_id), 0) {_ID}user_id'
         WHEN coalesce(length(item_id), 0) {_ID}item_id'
         WHEN seconds IS NULL
         THEN 'wanted Unix seconds or RFC 3339 as timestamp, found ' || coalesce(timestamp, 'nothing')
         WHEN NOT (seconds >= 0 AND seconds < {LATEST / MICROSECONDS}) THEN 'timestamp is out of range' END
"""


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
        connection.execute("SET TimeZone = 'UTC'")
        _read(connection, log)
        rejected = _rejected(connection)
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


def _read(connection: duckdb.DuckDBPyConnection, log: Path) -> None:
    """Tables `malformed` (line, reason) and `events`: row, reason (null for a good one), user_id, item_id, seconds,
    event_id, type.
    """
    connection.execute("CREATE TABLE malformed (line BIGINT, reason VARCHAR)")
    is_csv = log.suffix in (".csv", ".tsv")
    if is_csv:
        source, name = "read_csv($1, header = true, all_varchar = true, store_rejects = true)", [str(log)]
    else:
        files = event_files(log) if log.is_dir() else [log]
        source, name = "read_parquet($1, hive_partitioning = false)", [str(file) for file in files]
        if not name:
            raise ValueError(f"{log.name} holds no Parquet files")
    try:
        columns = {row[0] for row in connection.execute(f"DESCRIBE FROM {source}", [name]).fetchall()}
    except duckdb.Error as error:
        raise ValueError(f"{log.name} cannot be read as CSV or Parquet: {error}") from error
    if missing := [column for column in ("user_id", "item_id", "timestamp") if column not in columns]:
        raise ValueError(f"{log.name} has no column {', '.join(missing)}; it has {', '.join(sorted(columns))}")
    optional = ", ".join(
        f"{column}::VARCHAR AS {column}" if column in columns else f"NULL::VARCHAR AS {column}"
        for column in ("event_id", "type")
    )
    connection.execute(
        f"""
        CREATE TABLE events AS
        SELECT *, {_REASON} AS reason FROM (
            SELECT *, {_SECONDS} AS seconds FROM (
                SELECT row_number() OVER () + {int(is_csv)} AS row,
                       user_id::VARCHAR AS user_id, item_id::VARCHAR AS item_id,
                       timestamp::VARCHAR AS timestamp, {optional}
                FROM {source}))
        """,  # noqa: S608  # our own words and column names
        [name],
    )
    if is_csv:
        connection.execute("INSERT INTO malformed SELECT line, min(error_message) FROM reject_errors GROUP BY line")


def _rejected(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    """Line (of a CSV, whose header is line 1) or row (of Parquet files) and reason, in order."""
    malformed = connection.execute("FROM malformed ORDER BY line").fetchall()
    found = connection.execute("SELECT row, reason FROM events WHERE reason IS NOT NULL ORDER BY row").fetchall()
    lines = [line for line, _ in malformed]
    return sorted([*malformed, *((_line(row, lines), reason) for row, reason in found)])


def _line(row: int, malformed: list[int]) -> int:
    """A row's place among all lines: those that are malformed come in between."""
    line = row
    for other in malformed:
        line += other <= line
    return line


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
