"""By the day (UTC) on which it was received: `DIRECTORY/day=YYYY-MM-DD/*.parquet` of events,
`DIRECTORY/exposures/experiment=NAME/day=YYYY-MM-DD/*.parquet` of exposures.
"""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import orjson

from service.event_log.aside import aside, left_behind, replacing
from service.event_log.entries import Erasure, LoggedEvent
from service.experiments.exposures import EXPOSURES, ROWS

COLUMNS = {
    "event_id": "VARCHAR",
    "user_id": "VARCHAR",
    "item_id": "VARCHAR",
    "type": "VARCHAR",
    "timestamp": "DOUBLE",
    "value": "DOUBLE",
    "recommendation_id": "VARCHAR",
    "received": "DOUBLE",
}
TYPES = "{" + ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items()) + "}"
SMALL, MERGED, MERGED_BYTES = 16 << 20, 64, 64 << 20  # bytes of a small file; how many become one, and their bytes
DAYS = ("day=*", f"{EXPOSURES}/experiment=*/day=*")


def event_files(directory: Path) -> list[Path]:
    """The Parquet files below it, but those of exposures."""
    files = sorted(directory.rglob("[!.]*.parquet"))
    return [file for file in files if file.relative_to(directory).parts[0] != EXPOSURES]


class EventFiles:
    """One directory. Every file is whole or not there."""

    def __init__(self, directory: Path, check: Callable[[], None] = lambda: None) -> None:
        """Created if it is not there. `check`, just before a file changes, may raise: then it does not."""
        self._directory = directory
        self._check = check
        directory.mkdir(parents=True, exist_ok=True)

    def checked(self, check: Callable[[], None]) -> "EventFiles":
        """The same directory, for one who may lose the right to change it at any time."""
        return EventFiles(self._directory, check)

    def add(self, events: Sequence[LoggedEvent], name: str) -> list[Path]:
        """Write the events into one file a day, called `name`; the same name again replaces it."""
        by_day: defaultdict[date, list[LoggedEvent]] = defaultdict(list)
        for event in events:
            by_day[datetime.fromtimestamp(event.received, UTC).date()].append(event)
        return [self._write(day, its, name) for day, its in by_day.items()]

    def add_exposures(self, entries: Sequence[bytes], name: str, erased: Mapping[str, float] | None = None) -> int:
        """Write exposures as they were buffered into one file an experiment and day -> how many rows.

        `erased`: user_id -> Unix seconds until when nothing of the user may be written.
        """
        self._directory.mkdir(exist_ok=True)
        lines = aside(self._directory / f"{name}.jsonl")
        try:
            lines.write_bytes(b"".join(entries))
            with duckdb.connect(config={"threads": 1}) as connection:  # the workers answer beside it
                connection.execute(f"CREATE TABLE exposures AS {ROWS}", [str(lines)])
                if erased:
                    _make_erased(connection, erased)
                    connection.execute("DELETE FROM exposures WHERE is_erased(user_id, received)")
                parts = "SELECT experiment, floor(received / 86400)::BIGINT, count(*) FROM exposures GROUP BY ALL"
                found = connection.execute(parts).fetchall()
                for experiment, days, _ in found:
                    day = date(1970, 1, 1) + timedelta(days)
                    folder = self._directory / EXPOSURES / f"experiment={experiment}" / f"day={day.isoformat()}"
                    folder.mkdir(parents=True, exist_ok=True)
                    rows = "FROM exposures WHERE experiment = $1 AND floor(received / 86400) = $2"
                    _copy(connection, rows, [experiment, days], folder / f"{name}.parquet", self._check)
            return sum(count for _, _, count in found)
        finally:
            lines.unlink(missing_ok=True)

    def erase(self, erasures: Sequence[Erasure]) -> int:
        """Rewrite the files that hold anything of these users -> how many."""
        until = {one.user_id: one.received for one in sorted(erasures, key=lambda one: one.received)}
        files = self._files()
        if not until or not files:
            return 0
        with duckdb.connect() as connection:
            _make_erased(connection, until)
            touched = connection.execute(
                "SELECT DISTINCT filename "
                "FROM read_parquet(?, filename = true, hive_partitioning = false, union_by_name = true) "
                "WHERE is_erased(user_id, received)",
                [[str(file) for file in files]],
            ).fetchall()
            for (name,) in touched:
                self._without_erased(connection, Path(name))
        return len(touched)

    def tidy(self) -> int:
        """Remove what writers that were killed left half written -> how many files."""
        left = left_behind(self._directory)
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def keep(self, days: int, today: date) -> list[str]:
        """Remove what was received more than `days` days before today -> the days that are gone."""
        oldest = today - timedelta(days=days)
        found = sorted(path for pattern in DAYS for path in self._directory.glob(pattern))
        gone = [path for path in found if path.name < f"day={oldest.isoformat()}"]
        for path in gone:
            shutil.rmtree(path)
        return [str(path.relative_to(self._directory)) for path in gone]

    def merge(self, today: date) -> int:
        """Of one day that is over, make one file of many small ones -> of how many.

        What was written twice is there once then; so a writer that was killed here can begin again.
        """
        days = sorted(path for pattern in DAYS for path in self._directory.glob(pattern))
        for day in (path for path in days if path.name < f"day={today.isoformat()}"):
            if len(files := _small(day)) > 1:
                digest = hashlib.sha256("\n".join(file.name for file in files).encode()).hexdigest()
                rows = "SELECT DISTINCT * FROM read_parquet($1, hive_partitioning = false, union_by_name = true)"
                with duckdb.connect(config={"threads": 1}) as connection:
                    names = [str(file) for file in files]
                    merged = day / f"merged-{digest[:16]}.parquet"
                    _copy(connection, f"{rows} ORDER BY received", [names], merged, self._check)
                for file in files:
                    file.unlink()
                return len(files)
        return 0

    def _files(self) -> list[Path]:
        return sorted(path for pattern in DAYS for path in self._directory.glob(f"{pattern}/[!.]*.parquet"))

    def _write(self, day: date, events: Sequence[LoggedEvent], name: str) -> Path:
        folder = self._directory / f"day={day.isoformat()}"
        folder.mkdir(exist_ok=True)
        lines = aside(folder / f"{name}.jsonl")
        try:
            lines.write_bytes(b"\n".join(orjson.dumps(asdict(event)) for event in events))
            source = f"FROM read_json($1, format = 'newline_delimited', columns = {TYPES})"
            with duckdb.connect() as connection:
                return _copy(connection, source, [str(lines)], folder / f"{name}.parquet", self._check)
        finally:
            lines.unlink(missing_ok=True)

    def _without_erased(self, connection: duckdb.DuckDBPyConnection, file: Path) -> None:
        kept = "FROM read_parquet($1, hive_partitioning = false) WHERE NOT is_erased(user_id, received)"
        _copy(connection, kept, [str(file)], file, self._check)


def _make_erased(connection: duckdb.DuckDBPyConnection, until: Mapping[str, float]) -> None:
    """The table of who was erased, and the question whether something of a user is."""
    connection.execute("CREATE TABLE erased (whom VARCHAR, until DOUBLE)")
    connection.execute(
        "CREATE MACRO is_erased(its, moment) AS EXISTS (FROM erased WHERE whom = its AND moment <= until)"
    )
    connection.executemany("INSERT INTO erased VALUES (?, ?)", list(until.items()))


def _small(day: Path) -> list[Path]:
    """The first of them, no more than can be merged at once."""
    found: list[Path] = []
    size = 0
    for file in sorted(day.glob("[!.]*.parquet")):
        its = file.stat().st_size
        if its < SMALL and len(found) < MERGED and size + its <= MERGED_BYTES:
            found.append(file)
            size += its
    return found


def _copy(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    values: Sequence[str | int | list[str]],
    target: Path,
    check: Callable[[], None],
) -> Path:
    """The rows of a query with `values` ($1, ...) as a Parquet file that a power cut leaves whole or out."""
    to = f"TO ${len(values) + 1} (FORMAT parquet, COMPRESSION zstd)"
    with replacing(target, check) as path:
        connection.execute(f"COPY ({query}) {to}", [*values, str(path)])
    return target
