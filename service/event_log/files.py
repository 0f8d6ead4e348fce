"""By the day (UTC) on which it was received: `DIRECTORY/day=YYYY-MM-DD/*.parquet` of events,
`DIRECTORY/exposures/experiment=NAME/day=YYYY-MM-DD/*.parquet` of exposures.
"""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import orjson

from service.event_log.aside import aside, left_behind, replacing
from service.event_log.damaged import Damaged, owe, owed, owing, settled
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
        self._damaged = Damaged()
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
        """Rewrite the files that hold anything of these users -> how many. One that cannot be read is owed it."""
        rewritten, unread = self._without_erased(self._files(), erasures)
        for file in unread:
            owe(file, erasures)
        return rewritten

    def settle(self) -> int:
        """Erase what files are owed that can be read now -> how many files."""
        waiting = [file for day in self._days() for file in owing(day) if file.exists()]
        mended = [file for file in waiting if not self._without_erased([file], owed(file))[1]]
        for file in mended:
            settled(file)
        return len(mended)

    def tidy(self) -> int:
        """Remove what writers that were killed left half written -> how many files."""
        left = left_behind(self._directory)
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def keep(self, days: int, today: date) -> list[str]:
        """Remove what was received more than `days` days before today -> the days that are gone."""
        oldest = today - timedelta(days=days)
        gone = [path for path in self._days() if path.name < f"day={oldest.isoformat()}"]
        for path in gone:
            shutil.rmtree(path)
        return [str(path.relative_to(self._directory)) for path in gone]

    def merge(self, today: date) -> int:
        """Of one day that is over, make one file of many small ones -> of how many.

        What was written twice is there once then; so a writer that was killed here can begin again.
        """
        for day in (path for path in self._days() if path.name < f"day={today.isoformat()}"):
            left_alone = owing(day)
            sound = (file for file in sorted(day.glob("[!.]*.parquet")) if file not in self._damaged)
            if merged := self._merged(day, _small(file for file in sound if file not in left_alone)):
                return merged
        return 0

    def _merged(self, day: Path, files: list[Path]) -> int:
        if len(files) < 2:
            return 0
        digest = hashlib.sha256("\n".join(file.name for file in files).encode()).hexdigest()
        rows = "SELECT DISTINCT * FROM read_parquet($1, hive_partitioning = false, union_by_name = true)"
        try:
            with duckdb.connect(config={"threads": 1}) as connection:
                names = [str(file) for file in files]
                merged = day / f"merged-{digest[:16]}.parquet"
                _copy(connection, f"{rows} ORDER BY received", [names], merged, self._check)
        except duckdb.Error:
            sound = [file for file in files if self._is_sound(file)]
            if len(sound) == len(files):  # it was the disk, or memory
                raise
            return self._merged(day, sound)
        for file in files:
            file.unlink()
        return len(files)

    def _is_sound(self, file: Path) -> bool:
        """Read as a whole."""
        try:
            rows = "SELECT max(hash(one)) FROM read_parquet($1, hive_partitioning = false) AS one"
            with duckdb.connect(config={"threads": 1}) as connection:
                connection.execute(rows, [str(file)])
        except duckdb.Error as error:
            self._damaged.add(file, error)
            return False
        return True

    def _days(self) -> list[Path]:
        return sorted(path for pattern in DAYS for path in self._directory.glob(pattern))

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

    def _without_erased(self, files: list[Path], erasures: Sequence[Erasure]) -> tuple[int, list[Path]]:
        """Rewrite those that hold anything of these users -> how many, and which could not be read."""
        until = {one.user_id: one.received for one in sorted(erasures, key=lambda one: one.received)}
        if not until or not files:
            return 0, []
        unread: list[Path] = []
        with duckdb.connect() as connection:
            _make_erased(connection, until)
            touched = self._holding_erased(connection, files, unread)
            kept = "FROM read_parquet($1, hive_partitioning = false) WHERE NOT is_erased(user_id, received)"
            for file in touched:
                try:
                    _copy(connection, kept, [str(file)], file, self._check)
                except duckdb.Error:
                    if self._is_sound(file):  # it was the disk, or memory
                        raise
                    unread.append(file)
        return len([file for file in touched if file not in unread]), unread

    def _holding_erased(
        self, connection: duckdb.DuckDBPyConnection, files: list[Path], unread: list[Path]
    ) -> list[Path]:
        """Those that hold anything of the users in the table; where they cannot be read at once, by halves."""
        query = (
            "SELECT DISTINCT filename "
            "FROM read_parquet($1, filename = true, hive_partitioning = false, union_by_name = true) "
            "WHERE is_erased(user_id, received)"
        )
        try:
            return [Path(name) for (name,) in connection.execute(query, [[str(file) for file in files]]).fetchall()]
        except duckdb.Error as error:
            if len(files) > 1:
                middle = len(files) // 2
                halves = files[:middle], files[middle:]
                return [file for half in halves for file in self._holding_erased(connection, half, unread)]
            self._damaged.add(files[0], error)
            unread.append(files[0])
            return []


def _make_erased(connection: duckdb.DuckDBPyConnection, until: Mapping[str, float]) -> None:
    """The table of who was erased, and the question whether something of a user is."""
    connection.execute("CREATE TABLE erased (whom VARCHAR, until DOUBLE)")
    connection.execute(
        "CREATE MACRO is_erased(its, moment) AS EXISTS (FROM erased WHERE whom = its AND moment <= until)"
    )
    connection.executemany("INSERT INTO erased VALUES (?, ?)", list(until.items()))


def _small(files: Iterable[Path]) -> list[Path]:
    """The first of them, no more than can be merged at once."""
    found: list[Path] = []
    size = 0
    for file in files:
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
