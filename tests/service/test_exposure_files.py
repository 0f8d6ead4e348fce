"""Exposure files: a row is what was shown, and nothing is kept of an erased user."""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest

from service.event_log.entries import Erasure, LoggedEvent
from service.event_log.files import EventFiles
from service.experiments.assignment import Assignments
from service.experiments.exposures import entry
from service.loading import load
from service.schemas import RecommendationRequest
from service.stores.base import SequenceStore
from tests.service.experiments.declared import declaration, running
from tests.service.experiments.shown import both, exposed, rows
from tests.service.test_event_log import DAY, NOON
from tests.service.test_event_log import rows as logged_items
from training.log_readers import log_files

OpenStore = Callable[..., SequenceStore]
COLUMNS = [
    ("recommendation_id", "VARCHAR"),
    ("experiment", "VARCHAR"),
    ("phase", "INTEGER"),
    ("variant", "VARCHAR"),
    ("tester", "BOOLEAN"),
    ("user_id", "VARCHAR"),
    ("user_group", "VARCHAR"),
    ("stored_events", "INTEGER"),
    ("attributes", "VARCHAR"),
    ("bundle_id", "VARCHAR"),
    ("source", "VARCHAR"),
    ("degraded", "VARCHAR"),
    ("items", "VARCHAR[]"),
    ("scores", "FLOAT[]"),
    ("timestamp", "DOUBLE"),
    ("received", "DOUBLE"),
]


def test_a_row_is_what_was_shown(tmp_path: Path) -> None:
    """A row an experiment, under its name and the day."""
    files = EventFiles(tmp_path)
    assigned = Assignments(both()).assign("t")
    answer = (
        b'"recommendation_id":"r1","items":["b \\u00fc\\n","a"],"scores":[1.5,-0.25],'
        b'"bundle_id":"x-0123456789abcdef","source":"popular"'
    )
    line = entry(
        answer, assigned, user_id="t", user_group="low", stored_events=7, attributes={"country": "日本", "n": [1, {}]},
        timestamp=NOON - 60, received=NOON,
    )  # fmt: skip
    assert files.add_exposures([line, exposed("u", NOON + DAY)], "1-2") == 3
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")) == [
        "exposures/experiment=blend/day=2026-01-01/1-2.parquet",
        "exposures/experiment=blend/day=2026-01-02/1-2.parquet",
        "exposures/experiment=other/day=2026-01-01/1-2.parquet",
    ]
    source = f"read_parquet('{tmp_path}/exposures/*/*/*.parquet', hive_partitioning = false)"
    assert [row[:2] for row in duckdb.execute(f"DESCRIBE FROM {source}").fetchall()] == COLUMNS
    [other] = [row for row in rows(tmp_path, "*") if row[1] == "other"]
    blend = rows(tmp_path, "*")[0]
    assert (blend[:5], other[1:5]) == (("r1", "blend", 1, "treatment", True), ("other", 1, assigned[1].variant, False))
    assert blend[5:9] == ("t", "low", 7, '{"country":"日本","n":[1,{}]}')
    assert blend[9:] == (
        "x-0123456789abcdef", "popular", None, ["b ü\n", "a"], [1.5, -0.25], NOON - 60, NOON,
    )  # fmt: skip
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('{"user_id": "u\\u0000x", "attributes": {"n": 1' + "0" * 30 + "}}", ("u\0x", "{}")),
        ('{"user_id": "q\\u2028\\n", "attributes": {"x": NaN, "y": 1e400}}', ("q\u2028\n", '{"x":null,"y":null}')),
        ('{"user_id": "d", "attributes": ' + '{"a":' * 150 + "1" + "}" * 151, ("d", '{"a":' * 150 + "1" + "}" * 150)),
    ],
    ids=["31 digits", "no numbers", "150 deep"],
)
def test_whatever_a_request_holds_can_be_written(tmp_path: Path, body: str, kept: tuple[str, str]) -> None:
    """Else its whole batch would fail, or the writer at one line for ever."""
    request = RecommendationRequest.model_validate_json(body)
    user_id, attributes = request.user_id or "", request.attributes
    line = entry(
        b'"recommendation_id":"r","items":[],"scores":[]', Assignments(running(declaration())).assign(user_id),
        user_id=user_id, user_group="new", stored_events=1, attributes=attributes, timestamp=NOON, received=NOON,
    )  # fmt: skip
    assert EventFiles(tmp_path).add_exposures([line], "1") == 1
    assert rows(tmp_path, "user_id, attributes") == [kept]


def test_erasure_and_retention_are_those_of_events(tmp_path: Path) -> None:
    """What was received until the erasure goes, of events and exposures; so do days."""
    files = EventFiles(tmp_path)
    files.add([LoggedEvent("e", "u", "a", "click", 5.25, None, None, NOON)], "1")
    files.add_exposures([exposed(user, NOON + at) for at, user in enumerate("uvu")], "1")
    assert files.erase([Erasure("u", NOON + 1)]) == 2
    assert (logged_items(tmp_path), rows(tmp_path)) == ([], ["v", "u"])
    files.add_exposures([exposed("w", NOON + 3 * DAY)], "2")
    assert files.keep(2, date(2026, 1, 4)) == ["day=2026-01-01", "exposures/experiment=blend/day=2026-01-01"]
    assert rows(tmp_path) == ["w"]


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """What a killed writer leaves may name users who are erased since; what was written just now is a living one's."""
    files = EventFiles(tmp_path)
    files.add([LoggedEvent("e", "u", "a", "click", 5.25, None, None, NOON)], "1")
    files.add_exposures([exposed("u", NOON)], "1")
    folders = ["", "day=2026-01-01", "exposures/experiment=blend/day=2026-01-01"]
    for folder, name in zip(folders, ("9.jsonl", "9.jsonl", "9.parquet"), strict=True):
        (left := tmp_path / folder / f".writing-{name}").write_text("half")
        os.utime(left, (NOON, NOON))
        (tmp_path / folder / f".writing-living-{name}").write_text("half")
    assert (files.tidy(), files.tidy()) == (3, 0)
    living = list(tmp_path.rglob(".writing-living-*"))
    assert len(living) == 3
    for path in living:
        path.unlink()
    assert (logged_items(tmp_path), rows(tmp_path)) == (["ua"], ["u"])


def cut_off(file: Path) -> bytes:
    """As a bad sector or a copy that was not finished leaves it -> as it was."""
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    return whole


def test_a_file_that_cannot_be_read_is_left_alone_and_owed_what_is_erased(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing else waits for it; once there is a sound one in its place, the erasures since are made up for."""
    files = EventFiles(tmp_path)
    for number in range(5):
        [file] = files.add([LoggedEvent(f"e{number}", "u", f"{number}", "click", 5.25, None, None, NOON)], f"{number}")
        files.add_exposures([exposed("u", NOON), exposed("v", NOON + number)], f"{number}")
    shown = tmp_path / "exposures/experiment=blend/day=2026-01-01/2.parquet"
    sound = {damaged: cut_off(damaged) for damaged in (file, shown)}
    assert files.erase([Erasure("u", NOON)]) == 8
    assert files.erase([Erasure("v", NOON)]) == 1
    assert (files.settle(), files.merge(date(2026, 1, 2)), files.merge(date(2026, 1, 2))) == (0, 4, 4)
    assert [path.stat().st_size for path in sound] == [len(content) - 20 for content in sound.values()]
    assert caplog.text.count("day=2026-01-01/4.parquet cannot be read and is left alone") == 1, "not at every look"
    assert caplog.text.count("experiment=blend/day=2026-01-01/2.parquet cannot be read and is left alone") == 1
    for damaged, content in sound.items():
        damaged.write_bytes(content)
    assert EventFiles(tmp_path).merge(date(2026, 1, 2)) == 0, "what is owed something keeps its name"
    assert (EventFiles(tmp_path).settle(), files.settle()) == (2, 0)
    assert (logged_items(tmp_path), rows(tmp_path, "received - 1767268800")) == ([], [1, 2, 3, 4])
    assert list(tmp_path.rglob(".*")) == []
    assert files.merge(date(2026, 1, 2)) == 2, "it is like any other"


def test_what_is_damaged_within_is_found_by_merging(tmp_path: Path) -> None:
    """Its end says what it holds, and is sound; the pages are not."""
    files = EventFiles(tmp_path)
    for number in range(3):
        events = [LoggedEvent(f"{number}-{at}", "u", "a", "click", at, None, None, NOON) for at in range(5000)]
        [file] = files.add(events, f"{number}")
    content = file.read_bytes()
    file.write_bytes(content[:1000] + bytes(1000) + content[2000:])
    assert [files.merge(date(2026, 1, 2)) for _ in range(2)] == [2, 0]
    assert len(list(tmp_path.glob("*/*.parquet"))) == 2
    assert files.erase([Erasure("u", NOON)]) == 1
    assert files.keep(2, date(2026, 1, 4)) == ["day=2026-01-01"]


async def test_what_was_shown_is_no_interaction(tmp_path: Path, opened: OpenStore) -> None:
    """Training and `intently-serve load` read the events beside it."""
    files = EventFiles(tmp_path / "log")
    files.add([LoggedEvent("e", "u", "a", "click", 5.25, None, None, NOON)], "1")
    files.add_exposures([exposed("u", NOON)], "1")
    [event_file] = log_files(tmp_path / "log")
    assert event_file.parent.name == "day=2026-01-01"
    store = opened(f"sqlite:///{tmp_path}/loaded.sqlite3")
    done = await load(tmp_path / "log", store, stored_events=10, types=frozenset({"click"}), progress=lambda _: None)
    assert (done.events, done.rejected) == (1, 0)
