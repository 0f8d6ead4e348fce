"""Titles, categories and attributes of the catalogue, from an optional file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa

from training.item_rows import NAMED, RefusedRow, Row, csv_header, csv_rows, has_json_lines, json_rows

ROWS_AT_ONCE = 50_000
APOSTROPHE = "'"
REASON = "items file: "  # how the reasons begin, beside those of the log


def describe_items(connection: duckdb.DuckDBPyConnection, items: Path | None) -> None:
    """Read the file into `described`, one row an item; an empty table without a file.

    CSV, Parquet or JSONL with item_id, title, category; every other column becomes an attribute. Rows that cannot be
    read, without an item_id, or with one that was there before, are reported in `malformed`. Raises ValueError without
    an item_id column, or when not one row is good.
    """
    if items is None:
        connection.execute(
            "CREATE TABLE described (item_id VARCHAR, title VARCHAR, category VARCHAR, attributes VARCHAR)"
        )
    else:
        _describe(connection, items)


def write_items(connection: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write items.parquet, one row an item of the vocabulary -> how many the file describes."""
    connection.execute(
        """
        COPY (SELECT item_row, item_id, title, category, coalesce(attributes, '{}') AS attributes
              FROM vocabulary LEFT JOIN described USING (item_id) ORDER BY item_row) TO ? (FORMAT parquet)
        """,
        [str(out)],
    )
    found = connection.execute("SELECT count(*) FROM vocabulary SEMI JOIN described USING (item_id)").fetchone()
    return int(found[0]) if found else 0


def rejected_items(connection: duckdb.DuckDBPyConnection) -> int:
    """How many rows of the file are in `malformed`."""
    found = connection.execute("SELECT count(*) FROM malformed WHERE starts_with(reason, $1)", [REASON]).fetchone()
    return int(found[0]) if found else 0


@contextmanager
def readable(path: Path, what: str) -> Iterator[None]:
    """DuckDB's word on a file that it cannot read becomes a ValueError."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        said = " ".join([line for line in str(error).splitlines() if line.strip()][:2])  # then comes advice on DuckDB
        raise ValueError(f"{path.name} cannot be read as {what}: {said}") from error


def _describe(connection: duckdb.DuckDBPyConnection, items: Path) -> None:
    if not items.is_file():
        raise ValueError(f"--items takes a file, got {items}")
    if items.suffix in (".parquet", ".pq"):
        with readable(items, "Parquet"):
            _read_parquet(connection, items)
    elif has_json_lines(items):
        _read_json(connection, items)
    else:
        _read_csv(connection, items)
    connection.execute(
        f"INSERT INTO malformed SELECT line, '{REASON}item_id is empty', title FROM item_rows "  # noqa: S608
        "WHERE item_id IS NULL OR item_id = ''"
    )
    connection.execute(
        f"INSERT INTO malformed SELECT line, '{REASON}item_id occurs twice', item_id FROM item_rows "  # noqa: S608
        "WHERE item_id <> '' QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY line) > 1"
    )
    connection.execute(
        "CREATE TABLE described AS SELECT item_id, title, category, attributes FROM item_rows WHERE item_id <> '' "
        "QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY line) = 1"
    )
    _refuse_without_good_rows(connection, items)


def _refuse_without_good_rows(connection: duckdb.DuckDBPyConnection, items: Path) -> None:
    first = connection.execute(
        "SELECT line, reason FROM malformed WHERE starts_with(reason, $1) AND NOT EXISTS (FROM described) "
        "ORDER BY line LIMIT 1",
        [REASON],
    ).fetchone()
    if first is not None:
        raise ValueError(f"{items.name} has no good row; line {first[0]}: {first[1].removeprefix(REASON)}")


def _read_parquet(connection: duckdb.DuckDBPyConnection, items: Path) -> None:
    columns = [row[0] for row in connection.execute("DESCRIBE FROM read_parquet(?)", [str(items)]).fetchall()]
    if "item_id" not in columns:
        raise ValueError(f"{items.name} has no column item_id; it has {', '.join(columns)}")
    selected = _selected({name: _quoted(name, '"') for name in columns})
    connection.execute(
        f"CREATE TABLE item_rows AS SELECT row_number() OVER () AS line, {selected} FROM read_parquet(?)",  # noqa: S608
        [str(items)],
    )


def _read_csv(connection: duckdb.DuckDBPyConnection, items: Path) -> None:
    delimiter, columns = csv_header(items)
    cells = [f"c{place}" for place in range(len(columns))]
    connection.execute(f"CREATE TABLE cells (line BIGINT, {', '.join(f'{cell} VARCHAR' for cell in cells)})")
    _fill(connection, "cells", csv_rows(items, delimiter, len(columns)))
    selected = _selected({name: f"nullif({cell}, '')" for name, cell in zip(columns, cells, strict=True) if name})
    connection.execute(f"CREATE TABLE item_rows AS SELECT line, {selected} FROM cells")  # noqa: S608
    connection.execute("DROP TABLE cells")


def _read_json(connection: duckdb.DuckDBPyConnection, items: Path) -> None:
    connection.execute(
        "CREATE TABLE item_rows (line BIGINT, item_id VARCHAR, title VARCHAR, category VARCHAR, attributes VARCHAR)"
    )
    _fill(connection, "item_rows", json_rows(items))


def _selected(found: dict[str, str]) -> str:
    """What is in the columns of these names, as SQL, under our names, and everything else as one JSON object."""
    named = [f"{found.get(name, 'NULL')}::VARCHAR AS {name}" for name in NAMED]
    others = [f"{_quoted(name, APOSTROPHE)}, {its}" for name, its in found.items() if name not in NAMED]
    return ", ".join([*named, f"json_object({', '.join(others)})::VARCHAR AS attributes"])


def _quoted(name: str, quote: str) -> str:
    """An identifier or a text of SQL, whatever stands in it."""
    return quote + name.replace(quote, quote * 2) + quote


def _fill(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterator[Row | RefusedRow]) -> None:
    while some := list(islice(rows, ROWS_AT_ONCE)):
        refused = [row for row in some if isinstance(row, RefusedRow)]
        _insert(connection, table, [row for row in some if not isinstance(row, RefusedRow)])
        _insert(connection, "malformed", [(row.line, REASON + row.reason, _printable(row.text)) for row in refused])


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    """The first column a number, the others text."""
    if rows:
        line, *texts = zip(*rows, strict=True)
        columns = [pa.array(line, pa.int64()), *(pa.array(text, pa.string()) for text in texts)]
        given = pa.table(columns, names=[f"c{place}" for place in range(len(columns))])
        connection.from_arrow(given).insert_into(table)
