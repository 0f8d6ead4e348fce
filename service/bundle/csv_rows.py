"""The rows of a CSV log in DuckDB. A row is a line of the file: what is wrong with one costs no other."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from service.bundle.plain_lines import LINES, MARK, READABLE, plain_lines

DELIMITERS = (",", "\t", ";", "|")
Wanted = Callable[[list[str]], Mapping[str, str | None]]


class Connection(Protocol):
    """What is needed of DuckDB's; this package does not import it."""

    def execute(self, query: str, parameters: object = None) -> Self:
        """Run a statement."""
        ...

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row of what it found."""
        ...


def has_csv_name(log: Path) -> bool:
    """`.csv` or `.tsv`, also gzipped."""
    return (log.with_suffix("") if log.suffix == ".gz" else log).suffix in (".csv", ".tsv")


def read_csv_rows(connection: Connection, log: Path, wanted: Wanted, folder: Path | None = None) -> None:
    """View `csv_rows`: line, problem (null for a good row), text (of a bad one), and the columns as text.

    `wanted` gets the names in the header and says which column, or none, is called what. The delimiter is the one that
    parts the header most often. A field may be quoted, and hold delimiters and doubled quotes then, but no line end.
    Blank lines are left out. `folder` is for a copy with plain lines, where the log is not such.

    Raises ValueError for a file without a header.
    """
    with plain_lines(log, folder) as lines:
        number, header = _header(lines, log)
        parted = {one: _names(connection, header, one) for one in DELIMITERS}
        delimiter = max(parted, key=lambda one: len(parted[one]))
        names = parted[delimiter]
        columns = ", ".join(f"{_column(names, name)} AS {ours}" for ours, name in wanted(names).items())
        connection.execute(
            f"""
            CREATE TABLE csv_lines AS
            SELECT {columns}, text IS NULL AS blank, problem,
                   CASE WHEN problem IS NOT NULL THEN ltrim(text, chr({ord(MARK)})) END AS text
            FROM (SELECT *, {_problem(len(names))} AS problem FROM (SELECT text, {_fields(delimiter)} FROM {LINES}))
            """,  # noqa: S608  # our own words
            [str(lines)],
        )
    connection.execute(
        "CREATE VIEW csv_rows AS SELECT rowid + 1 AS line, * EXCLUDE (blank) FROM csv_lines "  # noqa: S608
        f"WHERE NOT blank AND rowid >= {number}"
    )


def forget_csv_rows(connection: Connection) -> None:
    """Drop them, if they were read."""
    connection.execute("DROP VIEW IF EXISTS csv_rows")
    connection.execute("DROP TABLE IF EXISTS csv_lines")


def _header(lines: Path, log: Path) -> tuple[int, str]:
    """The first line with anything on it, and its number."""
    with lines.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.startswith(MARK):
                raise ValueError(f"{log.name}, line {number}: wanted {READABLE}")
            if line.strip():
                return number, line.rstrip("\n")
    raise ValueError(f"{log.name} is empty")


def _names(connection: Connection, header: str, delimiter: str) -> list[str]:
    found = connection.execute(f"SELECT {_fields(delimiter)} FROM (SELECT ? AS text)", [header])  # noqa: S608
    (fields,) = found.fetchone() or (None,)
    return [name.strip() for name in fields or ()]


def _column(names: list[str], name: str | None) -> str:
    return "NULL::VARCHAR" if name is None else f"nullif(fields[{names.index(name) + 1}], '')"


def _fields(delimiter: str) -> str:
    """Column `fields` of a line, null where a quote does not close. Most lines need no slow expression."""
    plain, text = f'(?:"[^{delimiter}"]*"|[^{delimiter}"]*)', f"'{delimiter}' || text"
    quoted, bare = ' *"(?:[^"]|"")*" *', f' *(?:[^{delimiter}" ][^{delimiter}]*)?'
    field = f"[{delimiter}]({quoted}|{bare})"
    return f"""
        CASE WHEN NOT contains(text, '"') THEN string_split(text, '{delimiter}')
             WHEN regexp_full_match(text, '{plain}(?:[{delimiter}]{plain})*')
             THEN string_split(replace(text, '"', ''), '{delimiter}')
             WHEN regexp_full_match({text}, '(?:{field})*')
             THEN list_transform(regexp_extract_all({text}, '{field}', 1), lambda field:
                  CASE WHEN starts_with(ltrim(field), '"')
                       THEN replace(substr(trim(field), 2, length(trim(field)) - 2), '""', '"') ELSE field END)
        END AS fields"""


def _problem(columns: int) -> str:
    """An empty field more is none: some write the delimiter after every field."""
    return f"""
        CASE WHEN starts_with(text, chr({ord(MARK)})) THEN 'malformed CSV: wanted {READABLE}'
             WHEN fields IS NULL THEN 'malformed CSV: wanted a closing quote at the end of the field'
             WHEN len(fields) <> {columns} AND (len(fields) <> {columns + 1} OR fields[-1] <> '')
             THEN 'malformed CSV: wanted {columns} columns, found ' || len(fields) END"""
