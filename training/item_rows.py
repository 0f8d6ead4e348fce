"""The rows of an items file that is text (CSV, JSON lines), each read or refused for itself."""

import csv
import gzip
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

NAMED = ("item_id", "title", "category")
DELIMITERS = ",\t;|"  # the header tells which
NOT_UTF8 = "not UTF-8: save the file as that"
Row = tuple[int | str | None, ...]  # the line, from 1, and its texts
_TO_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class RefusedRow(NamedTuple):
    """A line that cannot be read, why, and its text."""

    line: int
    reason: str
    text: str


def has_json_lines(items: Path) -> bool:
    """By the suffix, before that of gzip."""
    plain = items.with_suffix("") if items.suffix == ".gz" else items
    return plain.suffix in (".jsonl", ".ndjson")


def csv_header(items: Path) -> tuple[str, list[str]]:
    """The delimiter under which there is an item_id, and the columns' names. Raises ValueError without one."""
    with _opened(items) as file:
        header = file.readline()
    for delimiter in DELIMITERS:
        columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        if "item_id" in columns:
            break
    else:
        raise ValueError(f"{items.name} has no column item_id; it has {header.strip() or 'no header'}")
    if twice := sorted({name for name in columns if name and columns.count(name) > 1}):
        raise ValueError(f"{items.name} has two columns {', '.join(twice)}; rename one")
    return delimiter, columns


def csv_rows(items: Path, delimiter: str, columns: int) -> Iterator[Row | RefusedRow]:
    """Line and texts of so many columns, below the header.

    A record of several lines that cannot be read is its first line alone, so that a quote nobody closes costs one row.
    """
    with _opened(items) as file:
        lines = _Lines(file)
        next(lines, None)  # the header
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        number, its = 2, lines.begun()
        while True:
            fields = _record(reader)
            text = "".join(its)
            if not text:
                return
            wrong = fields if isinstance(fields, str) else _wrong(fields, text, delimiter, columns)
            if wrong:
                lines.give_back(1)
                yield RefusedRow(number, wrong, its[0].rstrip("\r\n"))
            elif fields:
                yield (number, *fields)
            number, its = number + len(its), lines.begun()


class _Lines:
    """The lines of a file, of which those taken last can be given back."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._file.readline()
        if not line:
            raise StopIteration
        self._taken.append(line)
        return line

    def begun(self) -> list[str]:
        """Another record -> the list that its lines will be in."""
        self._taken = []
        return self._taken

    def give_back(self, kept: int) -> None:
        """All lines of this record but the first."""
        self._waiting.extendleft(reversed(self._taken[kept:]))
        del self._taken[kept:]


def _record(reader: Iterator[list[str]]) -> list[str] | str:
    """The fields, [] for an empty line or the end, or what is wrong."""
    try:
        return next(reader, [])
    except csv.Error as error:
        return f"malformed CSV: {error}"


def _wrong(fields: list[str], text: str, delimiter: str, columns: int) -> str | None:
    if fields and len(fields) != columns:
        cure = f"; a text with {delimiter!r} in it stands in quotes" if len(fields) > columns else ""
        return f"wanted {columns} columns, found {len(fields)}{cure}"
    return None if _is_utf8(text) else NOT_UTF8


def json_rows(items: Path) -> Iterator[Row | RefusedRow]:
    """Line, item_id, title, category, and a JSON object of everything else."""
    with _opened(items) as file:
        for line, text in enumerate(file, 1):
            if text.strip():
                found = _object(text)
                yield RefusedRow(line, found, text.rstrip("\r\n")) if isinstance(found, str) else _row(line, found)


def _object(text: str) -> dict[str, Any] | str:
    """What is known of one item, or what is wrong with its line."""
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        return f"malformed JSON: {getattr(error, 'msg', error)}"
    if not isinstance(found, dict):
        return "wanted one JSON object a line"
    return found if _is_utf8(_TO_JSON(found)) else NOT_UTF8


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _row(line: int, found: dict[str, Any]) -> Row:
    others = {name: value for name, value in found.items() if name not in NAMED}
    return (line, *(_text(found.get(name)) for name in NAMED), _TO_JSON(others))


def _text(value: Any) -> str | None:
    """Ids and titles are text, whatever JSON has."""
    return value if value is None or isinstance(value, str) else _TO_JSON(value)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _opened(items: Path) -> Iterator[IO[str]]:
    """As text, gzipped or not; bytes that are no UTF-8 are lone surrogates, the matter of their line."""
    opened = gzip.open if items.suffix == ".gz" else open
    try:
        with opened(items, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield file
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{items.name} is not a whole gzip file: {error}") from error
