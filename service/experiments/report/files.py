"""Parquet files -> tables of an experiment in DuckDB: `users`, `facts`, `daily`.

users: number, variant, user_group, source and day, all of the FIRST exposure, and the look-back (before_*).
facts: one row an exposure or outcome: number, day (of the exposure), happened, and what it adds to each column.
daily: their sums by number and day.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from service.errors import ConflictError
from service.experiments.columns import COLUMNS, FALLBACKS, OUTCOMES, PAGE_VIEWS
from service.experiments.declarations import DAY_SECONDS, Experiment
from service.experiments.report.period import Period
from service.experiments.statistics.metrics import before
from service.fields import LARGEST_VALUE

Connection = duckdb.DuckDBPyConnection
EXPOSURE = {
    "recommendation_id": "VARCHAR",
    "experiment": "VARCHAR",
    "phase": "INTEGER",
    "variant": "VARCHAR",
    "tester": "BOOLEAN",
    "user_id": "VARCHAR",
    "user_group": "VARCHAR",
    "source": "VARCHAR",
    "timestamp": "DOUBLE",
    "received": "DOUBLE",
}
EVENT = {
    "event_id": "VARCHAR",
    "user_id": "VARCHAR",
    "type": "VARCHAR",
    "timestamp": "DOUBLE",
    "value": "DOUBLE",
    "recommendation_id": "VARCHAR",
}
OF_SHOWN = {PAGE_VIEWS: "1", FALLBACKS: "CASE source WHEN 'model' THEN 0 ELSE 1 END"}
VALUE = f"CASE WHEN abs(value) <= {LARGEST_VALUE} THEN value ELSE 0 END"  # older versions took any
OF_EVENTS = {
    name: f"CASE type WHEN '{one.type}' THEN {VALUE if one.summed else '1'} ELSE 0 END"
    for name, one in OUTCOMES.items()
}
TYPES = ", ".join(f"'{kind}'" for kind in sorted({one.type for one in OUTCOMES.values()}))
DAY = f"floor((timestamp - $started) / {DAY_SECONDS})::INTEGER + 1"


def read(connection: Connection, experiment: Experiment, exposures: Path, events: Path, until: float) -> Period:
    """Make the tables. Raises ConflictError for an experiment that was not started."""
    if not experiment.phases:
        raise ConflictError(f"{experiment.name!r} has not been started: there is nothing to report")
    own = exposures / f"experiment={experiment.name}"
    period = _shown(connection, experiment, own, until)
    _users(connection, period)
    since = period.started - experiment.lookback_days * DAY_SECONDS
    log = _table(_files(events, since), EVENT)
    _outcomes(connection, log, period)
    past = [file for file in _files(exposures, since, "experiment=*/") if period.phase > 1 or own not in file.parents]
    _look_back(connection, experiment, period, _table(past, EXPOSURE), log)
    return period


def _shown(connection: Connection, experiment: Experiment, own: Path, until: float) -> Period:
    """`shown`: exposures of the phase, each once, though a crash may have written it twice.

    An experiment that was deleted and created again counts its phases from 1 again: the time of receipt tells.
    """
    phase = experiment.phases[-1]
    kept = ("user_id", "variant", "tester", "user_group", "source", "timestamp")
    connection.execute(
        f"CREATE TABLE shown AS SELECT recommendation_id, {', '.join(f'any_value({one}) AS {one}' for one in kept)} "
        f"FROM {_table(_files(own, phase.started), EXPOSURE)} WHERE phase = $phase AND received >= $begun "
        "AND timestamp <= $until GROUP BY recommendation_id",
        {"phase": phase.number, "begun": phase.started, "until": until},
    )
    median, first = connection.execute("SELECT median(timestamp), min(timestamp) FROM shown").fetchall()[0]
    return Period.of(experiment, median=median, first=first, until=until)


def _users(connection: Connection, period: Period) -> None:
    """`users`, who never were testers, and `counted`, what was shown to them within the period."""
    times = {"started": period.started, "closes": period.closes}
    connection.execute(
        "CREATE TABLE entered AS SELECT row_number() OVER () AS number, user_id, unnest(was) FROM (SELECT user_id, "
        "arg_min({'variant': variant, 'user_group': coalesce(user_group, 'unknown'), 'source': source, "
        "'first': timestamp}, timestamp) AS was FROM shown WHERE timestamp >= $started AND timestamp < $closes "
        "GROUP BY user_id HAVING NOT bool_or(tester))",
        times,
    )
    connection.execute(
        f"CREATE TABLE counted AS SELECT recommendation_id, number, user_id, shown.source, timestamp, {DAY} AS day "
        "FROM shown JOIN entered USING (user_id) WHERE timestamp >= $started AND timestamp < $closes",
        times,
    )


def _outcomes(connection: Connection, log: str, period: Period) -> None:
    """`facts` and `daily`: what was shown, and every event once that its user caused on it, in time."""
    kept = {"number": "number", "day": "day", "happened": "event.timestamp", "type": "type", "value": "value"}
    connection.execute(
        f"CREATE TABLE outcomes AS SELECT {', '.join(f'any_value({it}) AS {name}' for name, it in kept.items())} "
        f"FROM {log} AS event JOIN counted USING (recommendation_id) "
        f"WHERE type IN ({TYPES}) AND event.user_id = counted.user_id AND event.timestamp <= $until "
        "AND event.timestamp - counted.timestamp BETWEEN 0 AND $attribution GROUP BY number, event_id",
        {"until": period.until, "attribution": period.attribution},
    )
    connection.execute(
        f"CREATE VIEW facts AS SELECT number, day, timestamp AS happened, {_added(OF_SHOWN)} FROM counted "
        f"UNION ALL SELECT number, day, happened, {_added(OF_EVENTS)} FROM outcomes"
    )
    sums = ", ".join(f"sum({name}) AS {name}" for name in COLUMNS)
    connection.execute(f"CREATE TABLE daily AS SELECT number, day, {sums} FROM facts GROUP BY number, day")


def _look_back(connection: Connection, experiment: Experiment, period: Period, past: str, log: str) -> None:
    """`users`: with what each did in the days before the first exposure, whatever led to it; a covariate may be rough.

    Lists shown are known of other experiments, and of this one's earlier phases.
    """
    sums = ", ".join(f"sum({name}) AS {before(name)}" for name in COLUMNS)
    known = ", ".join(f"coalesce({before(name)}, 0) AS {before(name)}" for name in COLUMNS)
    joined = "JOIN (SELECT number, user_id, first FROM entered) USING (user_id) WHERE timestamp < first"
    joined += f" AND timestamp >= first - {experiment.lookback_days * DAY_SECONDS}"
    connection.execute(
        f"CREATE TABLE users AS SELECT entered.* EXCLUDE (user_id, first), {DAY.replace('timestamp', 'first')} AS day, "
        f"{known} FROM entered LEFT JOIN (SELECT number, {sums} FROM ("
        f"SELECT number, {_added(OF_SHOWN)} FROM {past} {joined} AND (experiment <> $name OR phase <> $phase) "
        f"UNION ALL SELECT number, {_added(OF_EVENTS)} FROM {log} {joined}) GROUP BY number) USING (number)",
        {"name": experiment.name, "phase": period.phase, "started": period.started},
    )


def _added(values: Mapping[str, str]) -> str:
    """What a row adds to every column."""
    return ", ".join(f"CAST({values.get(name, '0')} AS DOUBLE) AS {name}" for name in COLUMNS)


def _files(directory: Path, since: float, below: str = "") -> list[Path]:
    """Files of what was received since then; nothing is received before it happened, but for clocks that differ."""
    oldest = f"day={datetime.fromtimestamp(since - DAY_SECONDS, UTC).date().isoformat()}"
    found = directory.glob(f"{below}day=*/[!.]*.parquet")
    return sorted(file for file in found if file.parent.name >= oldest)


def _table(files: Iterable[Path], columns: Mapping[str, str]) -> str:
    """SQL of the files' rows, or of no rows."""
    names = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    if names:
        return f"(SELECT {', '.join(columns)} FROM read_parquet([{names}], hive_partitioning = false))"
    return f"(SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in columns.items())} WHERE false)"
