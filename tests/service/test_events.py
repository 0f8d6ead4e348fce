"""What becomes of posted events."""

import math
from pathlib import Path

import pytest

from service.events import EventIntake
from service.stores.opening import open_store
from service.timestamps import parse_timestamp

SECOND = 1_767_225_600  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    "written",
    [SECOND, float(SECOND), "2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01T02:00:00+02:00"],
)
def test_one_moment_can_be_written_in_many_ways(written: float | str) -> None:
    assert parse_timestamp(written) == SECOND * 1_000_000


@pytest.mark.parametrize("written", [-1, math.nan, math.inf, 1e10, "0001-01-01T00:00:00+23:59", "1767225600", "\ud800"])
def test_other_timestamps_are_refused(written: float | str) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        parse_timestamp(written)


async def test_no_element_spoils_the_others(tmp_path: Path) -> None:
    """Sequences of 2: the third, older event is late and not stored; whatever is no event is invalid."""
    store = open_store(f"sqlite:///{tmp_path}/store.sqlite3", stored_events=2)
    intake = EventIntake(store, frozenset({"click"}), future_tolerance=300)
    good = [{"user_id": "u", "item_id": item_id, "timestamp": when} for item_id, when in (("a", 5), ("b", 6), ("c", 1))]
    bad = [7, None, [], "x", {"\ud800": 1}, good[0] | {"timestamp": True}, good[0] | {"user_id": "\ud800"}]
    bad += [good[0] | {"value": value} for value in (1e200, -1e200, math.inf, math.nan)]
    try:
        results = await intake.receive([*bad, *good], engine=None)
        stored = await store.recent_many(["u"])
    finally:
        await store.close()
    assert [result.status for result in results] == ["invalid"] * len(bad) + ["accepted", "accepted", "late"]
    assert [result.stored for result in results] == [False] * len(bad) + [True, True, False]
    assert all(result.reason for result in results[: len(bad)])
    assert [one.item_id for one in stored[0]] == ["a", "b"]


async def test_the_same_fact_without_an_id_is_a_duplicate(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.sqlite3")
    intake = EventIntake(store, frozenset({"click", "view"}), future_tolerance=300)
    fact = {"user_id": "u", "item_id": "a", "timestamp": 5}
    facts = [fact, fact | {"timestamp": "1970-01-01T00:00:05Z"}, fact | {"type": "view"}]
    try:
        results = await intake.receive(facts, engine=None)
    finally:
        await store.close()
    assert [result.status for result in results] == ["accepted", "duplicate", "accepted"]
