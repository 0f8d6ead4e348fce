"""A log (CSV, a Parquet file or a directory of them, such as the event log) as tables in DuckDB."""

from pathlib import Path

import duckdb

from service.event_log.files import event_files
from service.timestamps import LATEST, MICROSECONDS

ID_BYTES = 256  # characters of an id, at most
_SECONDS = "coalesce(TRY_CAST(timestamp AS DOUBLE), epoch(TRY_CAST(timestamp AS TIMESTAMPTZ)))"
_ID = f"NOT BETWEEN 1 AND {ID_BYTES} THEN 'wanted 1 to {ID_BYTES} characters as "
_REASON = f"""
    CASE WHEN coalesce(length(user_id), 0) {_ID}user_id'
         WHEN coalesce(length(item_id), 0) {_ID}item_id'
         WHEN seconds IS NULL
         THEN 'wanted Unix seconds or RFC 3339 as timestamp, found ' || coalesce(timestamp, 'nothing')
         WHEN NOT (seconds >= 0 AND seconds < {LATEST / MICROSECONDS}) THEN 'timestamp is out of range' END
"""


def read_log(connection: duckdb.DuckDBPyConnection, log: Path) -> None:
    """Tables `malformed` (line, reason) and `events`: row, reason (null for a good one), user_id, item_id, seconds,
    event_id, type.

    Raises ValueError for a log without user_id, item_id, timestamp, or of neither format.
    """
    connection.execute("SET TimeZone = 'UTC'")
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


def rejected_rows(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
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
