"""A log (CSV, a Parquet file or a directory of them, such as the event log) as tables in DuckDB."""

from pathlib import Path

import duckdb

from service.bundle.csv_rows import has_csv_name, read_csv_rows
from service.event_log.files import event_files
from service.timestamps import LATEST, MICROSECONDS

REQUIRED = ("user_id", "item_id", "timestamp")
ID_BYTES = 256  # characters of an id, at most
_SECONDS = "coalesce(TRY_CAST(timestamp AS DOUBLE), epoch(TRY_CAST(timestamp AS TIMESTAMPTZ)))"
_ID = f"NOT BETWEEN 1 AND {ID_BYTES} THEN 'wanted 1 to {ID_BYTES} characters as "
_REASON = f"""
    CASE WHEN problem IS NOT NULL THEN problem
         WHEN coalesce(length(user_id), 0) {_ID}user_id'
         WHEN coalesce(length(item_id), 0) {_ID}item_id'
         WHEN seconds IS NULL
         THEN 'wanted Unix seconds or RFC 3339 as timestamp, found ' || coalesce(timestamp, 'nothing')
         WHEN NOT (seconds >= 0 AND seconds < {LATEST / MICROSECONDS}) THEN 'timestamp is out of range' END
"""


def read_log(connection: duckdb.DuckDBPyConnection, log: Path) -> None:
    """View `events`: row (in a CSV the line), reason (null for a good one), user_id, item_id, seconds, event_id, type.

    Raises ValueError for a log without user_id, item_id, timestamp, or of neither format.
    """
    connection.execute("SET TimeZone = 'UTC'")
    if has_csv_name(log):
        read_csv_rows(connection, log, lambda found: _wanted(found, log))
        rows = "SELECT *, line AS row FROM csv_rows"
    else:
        _read_parquet(connection, log)
        rows = "SELECT *, rowid + 1 AS row, NULL AS problem FROM parquet_rows"
    connection.execute(
        f"""
        CREATE VIEW events AS
        SELECT row, {_REASON} AS reason, user_id, item_id, seconds, event_id, type
        FROM (SELECT *, {_SECONDS} AS seconds FROM ({rows}))
        """  # noqa: S608  # our own words
    )


def _read_parquet(connection: duckdb.DuckDBPyConnection, log: Path) -> None:
    source, files = "read_parquet(?, hive_partitioning = false)", event_files(log) if log.is_dir() else [log]
    if not files:
        raise ValueError(f"{log.name} holds no Parquet files")
    names = [str(file) for file in files]
    try:
        found = [row[0] for row in connection.execute(f"DESCRIBE FROM {source}", [names]).fetchall()]
    except duckdb.Error as error:
        raise ValueError(f"{log.name} cannot be read as CSV or Parquet: {error}") from error
    columns = ", ".join(f"{name or 'NULL'}::VARCHAR AS {ours}" for ours, name in _wanted(found, log).items())
    connection.execute(f"CREATE TABLE parquet_rows AS SELECT {columns} FROM {source}", [names])  # noqa: S608


def _wanted(found: list[str], log: Path) -> dict[str, str | None]:
    """The columns of `events`, and None for those that the log has not. Raises ValueError."""
    if missing := [name for name in REQUIRED if name not in found]:
        raise ValueError(f"{log.name} has no column {', '.join(missing)}; it has {', '.join(found)}")
    return {name: name if name in found else None for name in (*REQUIRED, "event_id", "type")}


def rejected_rows(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    """Line (of a CSV, whose header is the first) or row (of Parquet files) and reason, in order."""
    return connection.execute("SELECT row, reason FROM events WHERE reason IS NOT NULL ORDER BY row").fetchall()
