"""What only the embedded store can get wrong: processes, disks and files."""

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import service
from service.stores.base import EventStatus, SequenceStore, StoredEvent, StoreUnavailableError

OpenStore = Callable[..., SequenceStore]
ROOT = Path(service.__file__).parents[1]

# Appends events of one user for ever, and prints the number of each once it was accepted.
WRITER = """
import asyncio, os, sys
from itertools import count
from service.stores.base import StoredEvent, event_key
from service.stores.opening import open_store

async def write(url, user, events):
    store = open_store(url, stored_events=100_000)
    for number in range(events) if events else count():
        [status] = await store.append([StoredEvent(user, str(number), number, event_key(f"{os.getpid()} {number}"))])
        print(number, status.value, flush=True)
    await store.close()

asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def start_writer(url: str, user: str, events: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, user, str(events)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def test_every_acknowledged_event_survives_kill_9(opened: OpenStore, tmp_path: Path) -> None:
    """Killed mid-stream, twice: the second writer starts on what the first one left behind."""
    url = f"sqlite:///{tmp_path / 'events.sqlite3'}"
    for user in ("first", "second"):
        writer = start_writer(url, user)
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(100)]
        writer.kill()
        told += writer.communicate()[0].splitlines(keepends=True)
        acknowledged = [line.split()[0] for line in told if line.endswith("accepted\n")]
        [stored] = await opened(url, stored_events=100_000).recent_many([user])
        assert len(acknowledged) >= 100
        assert [interaction.item_id for interaction in stored][: len(acknowledged)] == acknowledged
        assert len(stored) <= len(acknowledged) + 1  # the one that was on its way


async def test_workers_that_open_a_new_file_together_share_it(opened: OpenStore, tmp_path: Path) -> None:
    """Four processes, one user, 50 events each: 200."""
    url = f"sqlite:///{tmp_path / 'new' / 'events.sqlite3'}"
    writers = [start_writer(url, "shared", 50) for _ in range(4)]
    assert [writer.communicate()[0].count("accepted") for writer in writers] == [50] * 4
    assert [len(sequence) for sequence in await opened(url).recent_many(["shared"])] == [200]


async def test_a_read_does_not_wait_for_another_worker_s_write(opened: OpenStore, tmp_path: Path) -> None:
    store, other = (opened(f"sqlite:///{tmp_path / 'events.sqlite3'}") for _ in range(2))
    await store.append([StoredEvent("u", "a", 1, 1)])
    many = [StoredEvent(f"user {number}", "a", 1, 1) for number in range(50_000)]
    writing = asyncio.create_task(other.append(many))
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    assert len((await store.recent_many(["u"]))[0]) == 1
    assert not writing.done()
    assert time.perf_counter() - started < 0.1
    await writing


async def test_a_full_disk_is_reported_and_survived(opened: OpenStore, tmp_path: Path) -> None:
    """No file may grow beyond what it is: nothing is acknowledged, nothing stored is lost, and it goes on later."""
    path = tmp_path / "events.sqlite3"
    store = opened(f"sqlite:///{path}")
    await store.append([StoredEvent("u", "before", 1, 1)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.with_name("events.sqlite3-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(StoreUnavailableError, match=r"events\.sqlite3: "):
            await store.append([StoredEvent(f"user {number}", "x" * 200, 2, 2) for number in range(2000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await store.append([StoredEvent("u", "after", 3, 3)]) == [EventStatus.ACCEPTED]
    assert [interaction.item_id for interaction in (await store.recent_many(["u"]))[0]] == ["before", "after"]
    assert await store.recent_many(["user 0"]) == [[]]


def test_a_foreign_file_is_refused(opened: OpenStore, tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite3"
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(StoreUnavailableError, match="not a database"):
        opened(f"sqlite:///{path}")


def test_a_file_that_cannot_be_made_is_reported_at_once(opened: OpenStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    started = time.perf_counter()
    for path in (tmp_path, tmp_path / "file" / "events.sqlite3"):
        with pytest.raises(StoreUnavailableError, match="cannot open"):
            opened(f"sqlite:///{path}")
    assert time.perf_counter() - started < 1


async def test_a_closed_store_says_so(opened: OpenStore, tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path / 'events.sqlite3'}")
    await store.close()
    with pytest.raises(StoreUnavailableError, match="shutdown"):
        await store.ping()


async def test_an_event_takes_at_most_36_bytes_of_the_file_and_a_user_200(opened: OpenStore, tmp_path: Path) -> None:
    """At item_ids of 10 bytes and 50 events a user: 2,000 bytes a user."""
    store = opened(f"sqlite:///{tmp_path / 'events.sqlite3'}", stored_days=90)
    for user in range(300):
        events = [StoredEvent(f"u{user:09}", f"B{at:09}", at, at) for at in range(50)]
        await store.append(events[:25])
        await store.append(events[25:])
    await store.close()
    assert 50 * 25 < (tmp_path / "events.sqlite3").stat().st_size / 300 <= 50 * 36 + 200
