"""Who writes the event log: one of all replicas, for as long as its lease runs, and no file after that."""

import asyncio
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from service.errors import ConflictError
from service.event_log import files as event_files
from service.event_log import writer as event_writer
from service.event_log.aside import replacing
from service.event_log.entries import encoded
from service.event_log.files import EventFiles
from service.event_log.writer import Lease, LogWriter
from service.stores.base import SequenceStore
from tests.service.test_event_log import DAY, event, rows

OpenStore = Callable[..., SequenceStore]


async def test_a_writer_that_cannot_write_gives_its_lease_up(
    store: SequenceStore, writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was: another need not wait."""

    def broken(_: date) -> int:
        raise duckdb.InvalidInputException("not to be read")

    monkeypatch.setattr(writer._files, "merge", broken)
    await store.append([], encoded([event("u", "a")]))
    await writer.close()
    assert (await writer._lease.poll()).holder == ""


@pytest.mark.parametrize(("seconds_left", "written"), [(-1, 1), (15, 0), (DAY, 1)])
async def test_a_lease_counts_while_it_runs_unless_a_wrong_clock_wrote_it(
    store: SequenceStore, writer: LogWriter, seconds_left: float, written: int
) -> None:
    """20 seconds is the longest lease there is: one of a day is left by a holder that died in the wrong time."""
    until = time.time() + seconds_left
    await writer._lease.change(lambda lease: Lease(version=lease.version + 1, holder="other", until=until))
    await store.append([], encoded([event("u", "a")]))
    assert await writer.write() == written
    await writer._lease.change(lambda lease: Lease(version=lease.version + 1))


def slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[str]:
    """Writing a file takes so long -> the names of those whose writing was begun."""
    begun: list[str] = []
    copy = event_files._copy

    def slowly(connection: Any, query: str, values: Any, target: Path, check: Callable[[], None]) -> Path:
        begun.append(target.name)
        time.sleep(seconds)
        return copy(connection, query, values, target, check)

    monkeypatch.setattr(event_files, "_copy", slowly)
    return begun


async def test_a_writer_keeps_its_lease_while_it_works(
    store: SequenceStore, writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure from many files may take minutes; nobody else writes meanwhile, and another may afterwards."""
    monkeypatch.setattr(event_writer, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(event_writer, "RENEWED_SECONDS", 0.1)
    slow(monkeypatch, 2.5)
    other = LogWriter(store, EventFiles(tmp_path / "log"), seconds=1, days=None)
    await store.append([], encoded([event("u", "a")]))
    writing = asyncio.create_task(writer.write())
    asked = 0
    while not (await asyncio.wait([writing], timeout=0.2))[0]:
        assert await other.write() == 0
        asked += 1
    assert (await writing, asked > 5) == (1, True)
    await writer.close()
    await store.append([], encoded([event("u", "b")]))
    assert await other.write() == 1
    await other.close()


async def test_a_writer_whose_lease_ran_out_changes_no_file(
    store: SequenceStore, writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was stopped for so long, or it did not reach the store: another writes by now."""
    await store.append([], encoded([event("u", "a")]))
    with monkeypatch.context() as stopped:
        stopped.setattr(event_writer, "LEASE_SECONDS", 0.5)
        slow(stopped, 1)
        with pytest.raises(ConflictError, match="lease ran out"):
            await writer.write()
    assert [path for path in (tmp_path / "log").rglob("*") if path.is_file()] == []
    assert await LogWriter(store, EventFiles(tmp_path / "log"), seconds=1, days=None).write() == 1
    assert rows(tmp_path / "log") == ["ua"]
    await writer._lease.change(lambda lease: Lease(version=lease.version + 1))


def test_two_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    """Neither finds the other's half; the last one stands."""
    with replacing(tmp_path / "a") as one, replacing(tmp_path / "a") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one"
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as path:
        print(path.write_text("half") // 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "one"


async def test_what_is_being_written_when_the_service_stops_is_not_begun_again(
    store: SequenceStore, writer: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = slow(monkeypatch, 0.5)
    writer._seconds = 0.01
    await store.append([], encoded([event("u", "a")]))
    running = asyncio.create_task(writer.run())
    async with asyncio.timeout(10):
        while not begun:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    await writer.close()
    assert (len(begun), rows(tmp_path / "log")) == (1, ["ua"])
