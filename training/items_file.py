"""Titles, categories and attributes of the catalogue, from an optional file."""

from pathlib import Path

import duckdb

_NAMED = ("item_id", "title", "category")


def describe_items(connection: duckdb.DuckDBPyConnection, items: Path | None) -> None:
    """Read the file into `described`, one row an item; an empty table without a file.

    CSV, Parquet or JSONL with item_id, title, category; every other column becomes an attribute. Rows without an
    item_id and repeated ones are reported in `malformed`. Raises ValueError without an item_id column.
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


def _describe(connection: duckdb.DuckDBPyConnection, items: Path) -> None:
    source, parameters = _source(items)
    columns = [row[0] for row in connection.execute(f"DESCRIBE FROM {source}", parameters).fetchall()]
    if "item_id" not in columns:
        raise ValueError(f"{items.name} has no column item_id; it has {', '.join(columns)}")
    named = ", ".join(
        f"{name}::VARCHAR AS {name}" if name in columns else f"NULL::VARCHAR AS {name}" for name in _NAMED
    )
    others = [name for name in columns if name not in _NAMED]
    packed = ", ".join('{0} := "{0}"'.format(name.replace('"', '""')) for name in others)
    attributes = f"to_json(struct_pack({packed}))::VARCHAR" if others else "'{}'"
    connection.execute(
        f"CREATE TABLE item_rows AS SELECT row_number() OVER () AS line, {named}, {attributes} AS attributes "  # noqa: S608
        f"FROM {source}",
        parameters,
    )
    connection.execute(
        "INSERT INTO malformed SELECT line, 'items file: item_id is empty', title FROM item_rows "
        "WHERE item_id IS NULL OR item_id = ''"
    )
    connection.execute(
        "INSERT INTO malformed SELECT line, 'items file: item_id occurs twice', item_id FROM item_rows "
        "WHERE item_id <> '' QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY line) > 1"
    )
    connection.execute(
        "CREATE TABLE described AS SELECT item_id, title, category, attributes FROM item_rows WHERE item_id <> '' "
        "QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY line) = 1"
    )


def _source(items: Path) -> tuple[str, list[str]]:
    if items.suffix in (".parquet", ".pq"):
        return "read_parquet(?)", [str(items)]
    if items.suffix in (".jsonl", ".ndjson"):
        return "read_json(?, format = 'newline_delimited')", [str(items)]
    return "read_csv(?, header = true, all_varchar = true)", [str(items)]
