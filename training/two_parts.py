"""The interactions before and after the cut of each sequence, as logs: one to fill a store from, one to replay."""

from pathlib import Path

import duckdb

from training.prepared import FIRST, REST, SEQUENCES

# What happened in one moment keeps its order by microseconds; without a timestamp the place is the second.
_LOG = """
    SELECT user_id, item_id, (coalesce(microseconds, place * 1000000) + place) / 1e6 AS timestamp
    FROM (
        SELECT user_id, before_cut, unnest(item_rows) AS item_row, unnest(timestamps) AS microseconds,
               generate_subscripts(item_rows, 1) AS place
        FROM read_parquet($1)
    ) JOIN vocabulary USING (item_row)
    WHERE (place <= before_cut) = $2 ORDER BY user_id, place
"""


def write_two_parts(connection: duckdb.DuckDBPyConnection, directory: Path) -> None:
    """Write user_id, item_id and timestamp (Unix seconds, rising within a user) beside the sequences."""
    for name, before in ((FIRST, True), (REST, False)):
        connection.execute(
            f"COPY ({_LOG}) TO $3 (FORMAT parquet)",  # our own words
            [str(directory / SEQUENCES), before, str(directory / name)],
        )
