"""What was shown, what came of it, and what users had done before: the service's event log, read by DuckDB."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from training.metrics import Floats
from training.ranker.config import RankerConfig
from training.sequences import Integers

CLICKS, CONVERSIONS = ("click", "conversion"), ("conversion",)  # who converts has clicked, logged or not

LISTS = """
CREATE TEMP TABLE lists AS
SELECT row_number() OVER (ORDER BY timestamp, recommendation_id) - 1 AS number, *
FROM (
    SELECT DISTINCT ON (recommendation_id)
        recommendation_id, user_id, user_group, stored_events, attributes, items, timestamp, received
    FROM read_parquet($files, hive_partitioning = false, union_by_name = true)
    WHERE NOT tester AND degraded IS NULL
)
"""
LOG = """
CREATE TEMP TABLE log AS
SELECT DISTINCT ON (user_id, event_id) user_id, event_id, item_id, type, timestamp, received, recommendation_id
FROM read_parquet($files, hive_partitioning = false, union_by_name = true)
"""
ITEMS = "CREATE TEMP TABLE items AS SELECT unnest($ids) AS item_id, generate_subscripts($ids, 1) AS item_row"
USERS = """
CREATE TEMP TABLE users AS
SELECT user_id, row_number() OVER () - 1 AS user_number FROM (SELECT DISTINCT user_id FROM lists)
"""
OUTCOMES = """
CREATE TEMP TABLE outcomes AS
SELECT lists.number, log.item_id, bool_or(list_contains($conversions, log.type)) AS converted
FROM log JOIN lists USING (recommendation_id, user_id)
WHERE list_contains($clicks, log.type) AND log.timestamp - lists.timestamp BETWEEN 0 AND $seconds
GROUP BY ALL
"""
PLACES = """
SELECT
    shown.number, position, item_row,
    outcomes.item_id IS NOT NULL AS clicked, coalesce(outcomes.converted, false) AS converted
FROM (
    SELECT number, unnest(items) AS item_id, generate_subscripts(items, 1) - 1 AS position FROM lists
) AS shown JOIN items USING (item_id) LEFT JOIN outcomes USING (number, item_id)
ORDER BY shown.number, position
"""
PAST = """
SELECT user_number, timestamp, received, coalesce(item_row, 0) AS item_row
FROM log JOIN users USING (user_id) LEFT JOIN items USING (item_id)
WHERE list_contains($types, log.type)
ORDER BY user_number, timestamp, event_id
"""


class NoExposuresError(ValueError):
    """There is nothing to learn from; the message says what is missing."""


@dataclass(frozen=True)
class Exposures:
    """L lists in order of time; the N places of all lie end to end, `owners` (N) says whose they are.

    Items that the bundle lacks are left out, as are lists of testers and lists made without the store. Past events
    (M) lie user by user, oldest first; an item row of 0 is an item that the bundle lacks.
    """

    users: Integers  # (L) numbers of users
    groups: list[str]  # (L) user groups, as the service called them
    stored_events: Integers  # (L)
    attributes: list[str]  # (L) JSON
    timestamps: Floats  # (L)
    received: Floats  # (L)
    owners: Integers  # (N)
    positions: Integers  # (N), from 0
    rows: Integers  # (N)
    clicked: np.ndarray  # (N)
    converted: np.ndarray  # (N)
    past_starts: Integers  # (users + 1)
    past_timestamps: Floats  # (M)
    past_received: Floats  # (M)
    past_rows: Integers  # (M)

    def __len__(self) -> int:
        return len(self.users)

    def past(self, number: int) -> Integers:
        """What the service knew of the user when it made a list: item rows, oldest first, 0 where unknown."""
        start, end = self.past_starts[self.users[number]], self.past_starts[self.users[number] + 1]
        before = start + np.searchsorted(self.past_timestamps[start:end], self.timestamps[number], side="left")
        known: Integers = self.past_rows[start:before][self.past_received[start:before] <= self.received[number]]
        return known


def read_exposures(directory: Path, item_ids: list[str], config: RankerConfig) -> Exposures:
    """`DIR/exposures/experiment=*/day=*/*.parquet` and `DIR/day=*/*.parquet`. Raises NoExposuresError."""
    shown = sorted(directory.glob("exposures/experiment=*/day=*/[!.]*.parquet"))
    events = sorted(directory.glob("day=*/[!.]*.parquet"))
    for files, what in ((shown, "exposures/experiment=*/day=*"), (events, "day=*")):
        if not files:
            raise NoExposuresError(f"{directory} holds no {what}/*.parquet: is it the service's INTENTLY_EVENTS?")
    with duckdb.connect() as connection:
        connection.execute(LISTS, {"files": [str(file) for file in shown]})
        connection.execute(LOG, {"files": [str(file) for file in events]})
        connection.execute(ITEMS, {"ids": item_ids})
        connection.execute(USERS)
        seconds = config.attribution_seconds
        connection.execute(OUTCOMES, {"clicks": list(CLICKS), "conversions": list(CONVERSIONS), "seconds": seconds})
        return _fetched(connection, config)


def _fetched(connection: duckdb.DuckDBPyConnection, config: RankerConfig) -> Exposures:
    columns = "user_number, user_group, stored_events, attributes, timestamp, received"
    lists = _arrays(connection, f"SELECT {columns} FROM lists JOIN users USING (user_id) ORDER BY number")  # noqa: S608
    places = _arrays(connection, PLACES)
    past = _arrays(connection, PAST, {"types": config.sequence_event_types})
    users = int(lists["user_number"].max(initial=-1)) + 1
    return Exposures(
        users=lists["user_number"],
        groups=lists["user_group"].tolist(),
        stored_events=lists["stored_events"].astype(np.int64),
        attributes=lists["attributes"].tolist(),
        timestamps=lists["timestamp"],
        received=lists["received"],
        owners=places["number"],
        positions=places["position"].astype(np.int64),
        rows=places["item_row"].astype(np.int64),
        clicked=places["clicked"].astype(np.float32),
        converted=places["converted"].astype(np.float32),
        past_starts=np.searchsorted(past["user_number"], np.arange(users + 1)),
        past_timestamps=past["timestamp"],
        past_received=past["received"],
        past_rows=past["item_row"].astype(np.int64),
    )


def _arrays(connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
    """The columns of a query."""
    found: dict[str, Any] = connection.execute(query, values).fetchnumpy()
    return found
