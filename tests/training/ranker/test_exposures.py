"""What the event log says of a list, worked out by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from service.event_log.files import COLUMNS as EVENT
from training.ranker.config import RankerConfig
from training.ranker.examples import attribute_values
from training.ranker.exposures import Exposures, NoExposuresError, read_exposures

DAY = 86_400.0
EXPOSURE = {
    "recommendation_id": "VARCHAR",
    "experiment": "VARCHAR",
    "phase": "INTEGER",
    "variant": "VARCHAR",
    "tester": "BOOLEAN",
    "user_id": "VARCHAR",
    "user_group": "VARCHAR",
    "stored_events": "INTEGER",
    "attributes": "VARCHAR",
    "bundle_id": "VARCHAR",
    "source": "VARCHAR",
    "degraded": "VARCHAR",
    "items": "VARCHAR[]",
    "scores": "FLOAT[]",
    "timestamp": "DOUBLE",
    "received": "DOUBLE",
}


def write(path: Path, columns: dict[str, str], rows: Sequence[dict[str, Any]]) -> None:
    """A Parquet file of exactly these columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE log ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        values = [[row.get(name) for name in columns] for row in rows]
        connection.executemany(f"INSERT INTO log VALUES ({', '.join('?' * len(columns))})", values)
        connection.execute(f"COPY log TO '{path}' (FORMAT parquet)")


def exposure(identity: str, items: str, time: float, **more: Any) -> dict[str, Any]:
    shown = {"recommendation_id": identity, "experiment": "e", "phase": 1, "variant": "control", "tester": False}
    shown |= {"user_id": "u", "user_group": "new", "stored_events": 0, "attributes": "{}", "bundle_id": "tiny"}
    shown |= {"source": "model", "items": list(items), "scores": [0.0] * len(items)}
    return shown | {"timestamp": time, "received": time} | more


def event(identity: str, item: str, time: float, **more: Any) -> dict[str, Any]:
    its = {"event_id": identity, "user_id": "u", "item_id": item, "type": "click", "timestamp": time}
    return its | {"received": time} | more


def read(folder: Path, shown: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]) -> Exposures:
    """Through files of one day; items a to f are rows 1 to 6."""
    write(folder / "exposures/experiment=e/day=2026-01-01/one.parquet", EXPOSURE, shown)
    write(folder / "day=2026-01-01/one.parquet", EVENT, events)
    return read_exposures(folder, list("abcdef"), RankerConfig())


def test_outcomes_count_for_the_list_that_showed_them(tmp_path: Path) -> None:
    """b clicked in time; c converts, which is a click too; d a second too late; a by another user; e was not shown."""
    outcomes = [
        event("1", "b", 20, recommendation_id="r"),
        event("2", "c", 30, recommendation_id="r", type="conversion"),
        event("3", "d", 10 + DAY + 1, recommendation_id="r"),
        event("4", "a", 20, recommendation_id="r", user_id="other"),
        event("5", "e", 20, recommendation_id="r"),
        event("6", "a", 20, recommendation_id="r", type="view"),
    ]
    found = read(tmp_path, [exposure("r", "abcd", 10)], outcomes)
    assert found.rows.tolist() == [1, 2, 3, 4]
    assert found.positions.tolist() == [0, 1, 2, 3]
    assert found.clicked.tolist() == [0, 1, 1, 0]
    assert found.converted.tolist() == [0, 0, 1, 0]


def test_a_list_counts_once_and_those_of_testers_or_without_the_store_do_not(tmp_path: Path) -> None:
    """An unknown item x keeps its place: b stays the third."""
    shown = [
        exposure("r", "axb", 10),
        exposure("r", "axb", 10),
        exposure("t", "ab", 11, tester=True),
        exposure("s", "ab", 12, degraded="store_unavailable"),
    ]
    found = read(tmp_path, shown, [event("1", "a", 1)])
    assert (len(found), found.rows.tolist(), found.positions.tolist()) == (1, [1, 2], [0, 2])


def test_the_past_is_what_the_service_knew_when_it_made_the_list(tmp_path: Path) -> None:
    """At 10: d and the unknown x before; not what happened at 10, nor what came in late, nor a type of no sequence."""
    events = [
        event("1", "x", 5),
        event("2", "d", 4),
        event("2", "d", 4),
        event("3", "e", 10),
        event("4", "f", 3, received=11),
        event("5", "a", 6, type="impression"),
        event("6", "b", 2, user_id="other"),
    ]
    found = read(tmp_path, [exposure("later", "a", 20), exposure("r", "a", 10)], events)
    assert found.past(0).tolist() == [4, 0]
    assert found.past(1).tolist() == [6, 4, 0, 5]


def test_attributes_keep_the_values_that_tell_users_apart(tmp_path: Path) -> None:
    """The two most frequent channels of three; one country says nothing."""
    shown = [
        exposure(str(number), "a", number, attributes=json.dumps({"channel": channel, "country": "de"}))
        for number, channel in enumerate(["web", "app", "web", "app", "mail"])
    ]
    found = read(tmp_path, shown, [event("1", "a", 1)])
    assert attribute_values(found, most=2) == {"channel": ["app", "web"]}


def test_a_directory_without_exposures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoExposuresError, match="holds no exposures/experiment"):
        read_exposures(tmp_path, ["a"], RankerConfig())
    write(tmp_path / "exposures/experiment=e/day=2026-01-01/one.parquet", EXPOSURE, [exposure("r", "a", 1)])
    with pytest.raises(NoExposuresError, match="holds no day="):
        read_exposures(tmp_path, ["a"], RankerConfig())
