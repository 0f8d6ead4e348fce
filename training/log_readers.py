"""Raw logs as one relation `raw` of DuckDB: line, position, user_id, item_id, timestamp (text), type.

Everything is read as text, so that ids stay strings and every doubtful value can be reported with its line.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import duckdb

from service.bundle.csv_rows import forget_csv_rows, has_csv_name, read_csv_rows
from service.bundle.plain_lines import LINES, MARK, READABLE, plain_lines

LogFormat = Literal["auto", "csv", "parquet", "sequences", "pairs"]
SNIFFED_LINES = 20


@dataclass(frozen=True)
class Columns:
    """What the columns of a CSV or Parquet log are called; `type` may be absent."""

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    type: str | None = None


def checked_format(name: str) -> LogFormat:
    """The format of that name. Raises ValueError."""
    for known in get_args(LogFormat):
        if name == known:
            found: LogFormat = known
            return found
    raise ValueError(f"--format must be one of {', '.join(get_args(LogFormat))}, got {name!r}")


def detect_format(log: Path) -> LogFormat:
    """By suffix, before that of gzip; a text file whose first lines all hold two words is `pairs`, else `sequences`.

    Raises ValueError for what is no text.
    """
    if log.is_dir() or log.suffix in (".parquet", ".pq"):
        return "parquet"
    if has_csv_name(log):
        return "csv"
    try:
        with gzip.open(log, "rt") if log.suffix == ".gz" else log.open() as file:
            words = [len(line.split()) for _, line in zip(range(SNIFFED_LINES), file, strict=False)]
    except UnicodeDecodeError as error:
        raise ValueError(f"{log.name} is no text in UTF-8, and its suffix tells no format; give --format") from error
    return "pairs" if words and all(count == 2 for count in words) else "sequences"


def read_log(
    connection: duckdb.DuckDBPyConnection, log: Path, log_format: LogFormat, columns: Columns, work: Path
) -> None:
    """Create `raw` and `malformed` (line, reason, text). Raises ValueError naming a missing column.

    `work` is for a copy, meanwhile, of a text whose lines are not plain.
    """
    connection.execute("CREATE TABLE malformed (line BIGINT, reason VARCHAR, text VARCHAR)")
    if log_format == "csv":
        _read_csv(connection, log, columns, work)
    elif log_format == "parquet":
        _read_parquet(connection, log, columns)
    else:
        _read_text(connection, log, work, pairs=log_format == "pairs")


def _read_csv(connection: duckdb.DuckDBPyConnection, log: Path, columns: Columns, work: Path) -> None:
    read_csv_rows(connection, log, lambda found: _wanted(columns, found, log), work)
    connection.execute("INSERT INTO malformed SELECT line, problem, text FROM csv_rows WHERE problem IS NOT NULL")
    connection.execute(
        "CREATE VIEW raw AS SELECT line, 0 AS position, user_id, item_id, timestamp, type FROM csv_rows "
        "WHERE problem IS NULL"
    )


def _read_parquet(connection: duckdb.DuckDBPyConnection, log: Path, columns: Columns) -> None:
    """Lines count on from file to file."""
    source, files = "read_parquet(?, hive_partitioning = false)", [str(file) for file in log_files(log)]
    found = [row[0] for row in connection.execute(f"DESCRIBE FROM {source}", [files]).fetchall()]
    selected = ", ".join(
        f"{_quoted(name)}::VARCHAR AS {ours}" if name is not None else f"NULL::VARCHAR AS {ours}"
        for ours, name in _wanted(columns, found, log).items()
    )
    connection.execute(f"CREATE TABLE good AS SELECT {selected} FROM {source}", [files])  # noqa: S608
    connection.execute("CREATE VIEW raw AS SELECT rowid + 1 AS line, 0 AS position, * FROM good")


def log_files(log: Path) -> list[Path]:
    """The log, or the Parquet files below a directory, such as the service's event log. Raises ValueError for none.

    The service keeps there, in `exposures`, what it has shown; what was shown is no interaction.
    """
    if not log.is_dir():
        return [log]
    files = sorted(file for file in log.rglob("[!.]*.parquet") if file.relative_to(log).parts[0] != "exposures")
    if not files:
        raise ValueError(f"{log.name} holds no Parquet files")
    return files


def _read_text(connection: duckdb.DuckDBPyConnection, log: Path, work: Path, *, pairs: bool) -> None:
    """Words separated by blanks: `user item item ...`, or `user item`."""
    right, wanted = ("len(words) = 2", "user item") if pairs else ("len(words) >= 2", "user item item ...")
    with plain_lines(log, work) as lines:
        connection.execute(
            f"""
            CREATE TABLE lines AS
            SELECT ltrim(text, chr({ord(MARK)})) AS text, string_split_regex(text, '\\s+') AS words,
                   CASE WHEN starts_with(text, chr({ord(MARK)})) THEN 'wanted {READABLE}'
                        WHEN NOT ({right}) THEN 'wanted: {wanted}' END AS problem
            FROM (SELECT trim(text, ' ' || chr(9)) AS text FROM {LINES})
            """,  # noqa: S608
            [str(lines)],
        )
    connection.execute(
        "INSERT INTO malformed SELECT rowid + 1, problem, text FROM lines WHERE text <> '' AND problem IS NOT NULL"
    )
    connection.execute(
        """
        CREATE TABLE good AS
        SELECT rowid + 1 AS line, generate_subscripts(words[2:], 1) AS position, words[1] AS user_id,
               unnest(words[2:]) AS item_id, NULL::VARCHAR AS timestamp, NULL::VARCHAR AS type
        FROM lines WHERE text <> '' AND problem IS NULL
        """
    )
    connection.execute("DROP TABLE lines")
    connection.execute("CREATE VIEW raw AS FROM good")


def forget_log(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what `read_log` read, once the interactions are made of it; `malformed` stays."""
    connection.execute("DROP VIEW raw")
    connection.execute("DROP TABLE IF EXISTS good")
    forget_csv_rows(connection)


def _wanted(columns: Columns, found: list[str], log: Path) -> dict[str, str | None]:
    """Which column has which of our names."""
    wanted = {"user_id": columns.user, "item_id": columns.item, "timestamp": columns.time, "type": columns.type}
    missing = [name for name in wanted.values() if name is not None and name not in found]
    if missing:
        raise ValueError(f"{log.name} has no column {', '.join(missing)}; it has {', '.join(found)}")
    return wanted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
