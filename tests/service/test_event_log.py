"""From accepted events to Parquet files that training reads: nothing lost, nothing kept of an erased user."""

import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest
from prometheus_client import REGISTRY

from service.errors import OverloadedError
from service.event_log import files as event_files
from service.event_log.entries import Erasure, LoggedEvent, decoded, encoded
from service.event_log.files import EventFiles
from service.event_log.writer import LogWriter
from service.events import EventIntake
from service.recent_posts import RecentPosts
from service.stores.base import SequenceStore
from training.interactions import PrepareOptions, prepare
from training.log_readers import Columns
from training.prepared import load_prepared

OpenStore = Callable[..., SequenceStore]
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
DAY = 86_400
CLICKS = frozenset({"click"})


def event(user: str, item: str, received: float = NOON) -> LoggedEvent:
    return LoggedEvent(f"{user}-{item}-{received}", user, item, "click", 5.25, None, None, received)


def posts(store: SequenceStore) -> RecentPosts:
    return RecentPosts(store, CLICKS, written_every=1)


def rows(directory: Path, columns: str = "user_id || item_id") -> list[str]:
    """What all finished files hold, in order of receipt."""
    found = sorted(str(file) for file in directory.glob("day=*/[!.]*.parquet"))
    if not found:
        return []
    query = f"SELECT {columns} FROM read_parquet(?, hive_partitioning = false) ORDER BY received, item_id"
    return [row[0] for row in duckdb.execute(query, [found]).fetchall()]


def test_entries_are_read_as_they_were_written() -> None:
    entries = [event("u", "日本 'x' \n"), Erasure("u", NOON), LoggedEvent("e", "u", "i", "view", 1.5, 2.5, "r", NOON)]
    assert decoded(encoded(entries)) == entries
    assert encoded([]) == b""
    with pytest.raises(ValueError, match="not an entry of the event log"):
        decoded(b'{"nonsense":1}\n')


def test_events_lie_under_the_day_on_which_they_came(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    written = files.add([event("u", "a"), event("u", "b", NOON + DAY)], "1-2")
    assert [str(path.relative_to(tmp_path)) for path in written] == [
        "day=2026-01-01/1-2.parquet",
        "day=2026-01-02/1-2.parquet",
    ]
    files.add([event("u", "a")], "1-2")
    assert rows(tmp_path) == ["ua", "ub"], "the same name again is the same file"
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


def test_an_erasure_takes_what_came_before_it(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    files.add([event("u", "a"), event("v", "b")], "1")
    files.add([event("v", "c")], "2")
    files.add([event("u", "d", NOON + 10)], "3")
    assert files.erase([Erasure("u", NOON + 5), Erasure("nobody", NOON)]) == 1
    assert rows(tmp_path) == ["vb", "vc", "ud"]
    assert files.erase([Erasure("u", NOON + 5)]) == 0


def test_old_days_go(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    files.add([event("u", str(day), NOON + day * DAY) for day in range(4)], "1")
    assert files.keep(2, date(2026, 1, 4)) == ["day=2026-01-01"]
    assert rows(tmp_path) == ["u1", "u2", "u3"]


async def test_what_is_accepted_is_written_and_trains(store: SequenceStore, writer: LogWriter, tmp_path: Path) -> None:
    """Clicks enter the sequence, a purchase does not, both are logged; what is refused is not."""
    log = tmp_path / "log"
    intake = EventIntake(store, CLICKS, 300, posts(store))
    facts = [
        {"user_id": f"log-{user}", "item_id": f"i{item}", "timestamp": 10 * item + 0.5}
        for user in range(6)
        for item in range(6)
    ]
    purchase = facts[0] | {"type": "purchase", "value": 3.5, "recommendation_id": "r1"}
    results = await intake.receive([*facts, purchase, {"user_id": "no item"}, facts[0] | {"timestamp": 4e9}], None)
    assert [result.status for result in results[-3:]] == ["accepted", "invalid", "future"]
    assert await store.logged_count() == 1
    assert await writer.write() == 37
    assert await store.logged_count() == 0
    assert duckdb.execute("SELECT value FROM read_parquet(?) WHERE type = 'purchase'", [f"{log}/*/*"]).fetchall() == [
        (3.5,)
    ]
    options = PrepareOptions(columns=Columns(type="type"), event_types=("click",))
    manifest = prepare(log, tmp_path / "data", options=options)
    assert (manifest["counts"]["interactions"], manifest["counts"]["rejected"]) == (36, 0)
    assert load_prepared(tmp_path / "data").item_ids == [f"i{item}" for item in range(6)]
    assert await intake.erase("log-0")
    await intake.receive([facts[0] | {"timestamp": 77}], None)
    assert await LogWriter(store, EventFiles(log), seconds=1, days=None).write() == 0
    assert await store.logged_count() == 2, "the other writer holds the lease"
    await writer.close()
    assert len(rows(log)) == 37 - 7 + 1, "of the erased user only what came after"


async def test_what_comes_while_it_writes_waits_for_the_next_time(
    store: SequenceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under load there is always something: files would be small, and the writer never done."""
    intake = EventIntake(store, CLICKS, 300, posts(store))
    files = EventFiles(tmp_path / "log")
    writer = LogWriter(store, files, seconds=1, days=None)
    drop = store.drop_logged

    async def dropped_while_another_comes(entry_ids: list[str]) -> None:
        await intake.receive([{"user_id": "meanwhile", "item_id": "b", "timestamp": 2}], None)
        await drop(entry_ids)

    monkeypatch.setattr(store, "drop_logged", dropped_while_another_comes)
    await intake.receive([{"user_id": "meanwhile", "item_id": "a", "timestamp": 1}], None)
    assert await writer.write() == 1
    assert await store.logged_count() == 1
    monkeypatch.setattr(store, "drop_logged", drop)
    assert await writer.write() == 1
    await writer.close()


async def test_a_writer_that_dies_before_it_drops_writes_the_same_file_again(
    store: SequenceStore, writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the file and the buffer: nothing is lost and nothing is there twice; erasures count in order."""
    intake = EventIntake(store, CLICKS, 300, posts(store))
    for item in ("a", "b"):
        await intake.receive([{"user_id": "crash", "item_id": item, "timestamp": 1}], None)
    drop = store.drop_logged

    async def killed(entry_ids: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "drop_logged", killed)
    with pytest.raises(KeyboardInterrupt):
        await writer.write()
    monkeypatch.setattr(store, "drop_logged", drop)
    assert rows(tmp_path / "log") == ["crasha", "crashb"]
    assert await writer.write() == 2
    assert rows(tmp_path / "log") == ["crasha", "crashb"]
    await intake.receive([{"user_id": "crash", "item_id": "c", "timestamp": 1}], None)
    await intake.erase("crash")
    await intake.receive([{"user_id": "crash", "item_id": "d", "timestamp": 1}], None)
    await writer.close()
    assert rows(tmp_path / "log") == ["crashd"]
    assert (await writer._lease.poll()).holder == "", "closed, it gave the lease up"


async def test_a_full_disk_loses_nothing(
    store: SequenceStore, writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = EventIntake(store, CLICKS, 300, posts(store))
    await intake.receive([{"user_id": "disk", "item_id": "a", "timestamp": 1}], None)
    copy = event_files._copy

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(event_files, "_copy", full)
    with pytest.raises(OSError, match="No space left"):
        await writer.write()
    assert (await store.logged_count(), rows(tmp_path / "log")) == (1, [])
    assert REGISTRY.get_sample_value("intently_event_log_buffered_bytes"), "it can be seen that something waits"
    monkeypatch.setattr(event_files, "_copy", copy)
    await writer.close()
    assert rows(tmp_path / "log") == ["diska"]


async def test_a_damaged_file_does_not_wedge_the_writer(store: SequenceStore, tmp_path: Path) -> None:
    """Days go, users are erased, what was written is dropped and is there once, and the lease is given up."""
    files = EventFiles(tmp_path)
    now = time.time()
    for days_ago, name in ((5, "old"), (5, "older"), (1, "1"), (1, "2"), (1, "3")):
        files.add([event("u", name, now - days_ago * DAY)], name)
    for damaged in (*tmp_path.glob("*/old.parquet"), *tmp_path.glob("*/2.parquet")):
        damaged.write_bytes(damaged.read_bytes()[:-20])
    writer = LogWriter(store, files, seconds=1, days=3)
    await store.append([], encoded([event("v", "a", now)]))
    await store.erase("u", encoded([Erasure("u", now)]))
    assert await writer.write() == 1
    assert await store.logged_count() == 0
    await writer.close()
    assert (await writer._lease.poll()).holder == ""
    [left] = tmp_path.glob("*/2.parquet")
    assert len(list(tmp_path.glob("day=*"))) == 2
    left.rename(left.with_name("2.parquet.damaged"))
    assert rows(tmp_path) == ["va"]


async def test_old_days_make_room_on_a_full_disk(
    store: SequenceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = EventFiles(tmp_path)
    files.add([event("u", "old")], "1")
    writer = LogWriter(store, files, seconds=1, days=3)
    await store.append([], encoded([event("u", "new", time.time())]))

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(event_files, "_copy", full)
        with pytest.raises(OSError, match="No space left"):
            await writer.write()
    assert list(tmp_path.glob("day=2026-01-01")) == []
    with monkeypatch.context() as failing:
        failing.setattr(shutil, "rmtree", full)
        files.add([event("u", "old")], "1")
        assert await writer.write() == 1, "what cannot be removed is written beside"
    await writer.close()
    assert rows(tmp_path) == ["unew"]


async def test_events_are_refused_while_the_writer_is_too_far_behind(store: SequenceStore) -> None:
    intake = EventIntake(store, CLICKS, 300, posts(store), log_full=True)
    with pytest.raises(OverloadedError, match="the event log's writer is behind"):
        await intake.receive([{"user_id": "full", "item_id": "a", "timestamp": 1}], None)
    assert await store.recent_many(["full"]) == [[]]


async def test_a_store_that_begins_anew_replaces_no_file(opened: OpenStore, tmp_path: Path) -> None:
    """Its entries are numbered from 1 again."""
    for name in ("first", "second"):
        store = opened(f"sqlite:///{tmp_path}/{name}.sqlite3")
        await store.append([], encoded([event("u", name)]))
        assert [entry.entry_id for entry in await store.logged(10)] == [f"{1:020d}"]
        assert await LogWriter(store, EventFiles(tmp_path / "log"), seconds=1, days=None).write() == 1
    assert rows(tmp_path / "log") == ["ufirst", "usecond"]


def test_small_files_of_a_day_that_is_over_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four at a turn; what lies there twice is there once then, today's files and large ones are left alone."""
    monkeypatch.setattr(event_files, "MERGED", 4)
    files = EventFiles(tmp_path)
    for number in range(7):
        files.add([event(f"u{number}", "a", NOON + number)], f"{number}")
    files.add([event("u3", "a", NOON + 3), event("today", "a", NOON + DAY)], "again")
    users = [f"u{number}a" for number in range(7)]
    today, day = date(2026, 1, 2), tmp_path / "day=2026-01-01"
    assert rows(tmp_path) == [*sorted([*users, "u3a"]), "todaya"]
    assert [files.merge(today) for _ in range(4)] == [4, 4, 2, 0]
    assert rows(tmp_path) == [*users, "todaya"]
    assert len(list(day.iterdir())) == 1
    assert files.erase([Erasure("u5", NOON + DAY)]) == 1
    assert "u5a" not in rows(tmp_path)
    files.add([event("u8", "a")], "late")
    monkeypatch.setattr(event_files, "SMALL", 1)
    assert files.merge(today) == 0


def test_merging_begun_again_after_a_kill_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of removing what is in the large file by then: nothing is lost, or there twice at the end."""
    files = EventFiles(tmp_path)
    for number in range(4):
        files.add([event(f"u{number}", "a", NOON + number)], f"{number}")
    gone: list[Path] = []

    def unlink(file: Path) -> None:
        if len(gone) == 2:
            raise KeyboardInterrupt
        gone.append(file)
        file.rename(file.with_suffix(".gone"))

    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            files.merge(date(2026, 1, 2))
    assert rows(tmp_path) == ["u0a", "u1a", "u2a", "u2a", "u3a", "u3a"]
    assert files.merge(date(2026, 1, 2)) == 3
    assert rows(tmp_path) == ["u0a", "u1a", "u2a", "u3a"]
