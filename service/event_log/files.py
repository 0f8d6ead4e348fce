"""`DIRECTORY/day=YYYY-MM-DD/*.parquet`, by the day (UTC) on which an event was received."""

import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import orjson

from service.bundle.files import sync
from service.event_log.entries import Erasure, LoggedEvent

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
UNFINISHED = ".writing-"


class EventFiles:
    """One directory. Every file is whole or not there: written aside, synced, renamed."""

    def __init__(self, directory: Path) -> None:
        """Created if it is not there."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def add(self, events: Sequence[LoggedEvent], name: str) -> list[Path]:
        """Write the events into one file a day, called `name`; the same name again replaces it."""
        by_day: defaultdict[date, list[LoggedEvent]] = defaultdict(list)
        for event in events:
            by_day[datetime.fromtimestamp(event.received, UTC).date()].append(event)
        return [self._write(day, its, name) for day, its in by_day.items()]

    def erase(self, erasures: Sequence[Erasure]) -> int:
        """Rewrite the files that hold anything of these users -> how many."""
        until = {one.user_id: one.received for one in sorted(erasures, key=lambda one: one.received)}
        files = self._files()
        if not until or not files:
            return 0
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE erased (user_id VARCHAR, until DOUBLE)")
            connection.executemany("INSERT INTO erased VALUES (?, ?)", list(until.items()))
            touched = connection.execute(
                "SELECT DISTINCT filename FROM read_parquet(?, filename = true, hive_partitioning = false) AS log "
                "WHERE EXISTS (FROM erased WHERE erased.user_id = log.user_id AND log.received <= until)",
                [[str(file) for file in files]],
            ).fetchall()
            for (name,) in touched:
                self._without_erased(connection, Path(name))
        return len(touched)

    def keep(self, days: int, today: date) -> list[str]:
        """Remove what was received more than `days` days before today -> the days that are gone."""
        oldest = today - timedelta(days=days)
        gone = [path for path in sorted(self._directory.glob("day=*")) if path.name < f"day={oldest.isoformat()}"]
        for path in gone:
            shutil.rmtree(path)
        return [path.name for path in gone]

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("day=*/[!.]*.parquet"))

    def _write(self, day: date, events: Sequence[LoggedEvent], name: str) -> Path:
        folder = self._directory / f"day={day.isoformat()}"
        folder.mkdir(exist_ok=True)
        lines = folder / f"{UNFINISHED}{name}.jsonl"
        try:
            lines.write_bytes(b"\n".join(orjson.dumps(asdict(event)) for event in events))
            source = f"FROM read_json($1, format = 'newline_delimited', columns = {TYPES})"
            with duckdb.connect() as connection:
                return _copy(connection, source, lines, folder / f"{name}.parquet")
        finally:
            lines.unlink(missing_ok=True)

    def _without_erased(self, connection: duckdb.DuckDBPyConnection, file: Path) -> None:
        kept = (
            "SELECT log.* FROM read_parquet($1, hive_partitioning = false) AS log WHERE NOT EXISTS "
            "(FROM erased WHERE erased.user_id = log.user_id AND log.received <= until)"
        )
        _copy(connection, kept, file, file)


def _copy(connection: duckdb.DuckDBPyConnection, query: str, source: Path, target: Path) -> Path:
    """The rows of a query on `source` ($1) as a Parquet file that a power cut leaves whole or out."""
    aside = target.with_name(f"{UNFINISHED}{target.name}")
    connection.execute(f"COPY ({query}) TO $2 (FORMAT parquet, COMPRESSION zstd)", [str(source), str(aside)])
    sync(aside)
    aside.rename(target)
    sync(target.parent)
    return target
