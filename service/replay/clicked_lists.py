"""The lists of an experiment that somebody clicked, and what the user had done before, from the event log's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from service.experiments.answers import ExperimentAnswer
from service.experiments.exposures import EXPOSURES
from service.log_tables import read_log

SHOWN = EXPOSURES + "/experiment={}/day=*/[!.]*.parquet"
EVENTS = "day=*/[!.]*.parquet"
_LISTS = """
    WITH shown AS (
        FROM read_parquet($exposures, hive_partitioning = false)
        WHERE phase = $phase AND received >= $started AND NOT tester
        QUALIFY row_number() OVER (PARTITION BY recommendation_id) = 1
    ), begun AS (SELECT least(min(timestamp), $started) AS at FROM shown), log AS (
        FROM read_parquet($events, hive_partitioning = false)
    ), chosen AS (
        SELECT any_value(shown) AS one,
               list(DISTINCT log.item_id) FILTER (log.type = 'click') AS clicked,
               list(DISTINCT log.item_id) FILTER (log.type = 'conversion') AS converted
        FROM shown JOIN log ON log.recommendation_id = shown.recommendation_id AND log.user_id = shown.user_id
        WHERE log.timestamp - shown.timestamp BETWEEN 0 AND $window AND list_contains(shown.items, log.item_id)
        GROUP BY shown.recommendation_id
    ), done AS (
        SELECT user_id, item_id, timestamp FROM log WHERE list_contains($types, type) UNION ALL FROM earlier
    )
    SELECT one.user_id, one.variant, floor((one.timestamp - begun.at) / 86400)::INTEGER + 1, one.items,
           clicked, converted, past.items
    FROM chosen, begun, LATERAL (
        SELECT list(done.item_id ORDER BY done.timestamp) AS items FROM done
        WHERE done.user_id = one.user_id AND done.timestamp < one.timestamp
    ) AS past
    ORDER BY one.timestamp, one.recommendation_id
"""


@dataclass(frozen=True)
class ClickedList:
    """Items as shown, those that were clicked and those that were bought, and the history the list was made for."""

    user_id: str
    variant: str
    day: int  # 1 for the first
    items: Sequence[str]
    clicked: frozenset[str]
    converted: frozenset[str]
    history: Sequence[str]


def clicked_lists(
    events: Path, its: ExperimentAnswer, types: frozenset[str], earlier: Path | None = None
) -> list[ClickedList]:
    """Of the present phase, without testers; days count from its start, or from the first list of a replayed log.

    The history is what the event log holds of `types`, after the interactions of the log `earlier`, if any.
    Raises ValueError where there is nothing to read.
    """
    phase = its.phases[-1]
    files = {"exposures": events / SHOWN.format(its.name), "events": events / EVENTS}
    for name, pattern in files.items():
        if not list(events.glob(str(pattern.relative_to(events)))):
            raise ValueError(f"{events.name} holds no {name} of {its.name!r}")
    parameters = {name: str(path) for name, path in files.items()}
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE earlier (user_id VARCHAR, item_id VARCHAR, timestamp DOUBLE)")
        if earlier is not None:
            _read_earlier(connection, earlier)
        rows = connection.execute(
            _LISTS,
            {
                **parameters,
                "phase": phase.number,
                "started": phase.started,
                "window": its.attribution_seconds,
                "types": sorted(types),
            },
        ).fetchall()
    return [
        ClickedList(user_id, variant, day, items, frozenset(clicked or ()), frozenset(converted or ()), history or ())
        for user_id, variant, day, items, clicked, converted, history in rows
    ]


def _read_earlier(connection: duckdb.DuckDBPyConnection, log: Path) -> None:
    read_log(connection, log)
    connection.execute("INSERT INTO earlier SELECT user_id, item_id, seconds FROM events WHERE reason IS NULL")
