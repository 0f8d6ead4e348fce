"""What was kept is sent once, whatever happens to the store or to the process."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service import spool as spool_module
from service.spool import Spool, adopt
from service.stores.base import StoreUnavailableError

LIFE = """
import asyncio, os, signal, sys
from pathlib import Path
from service.spool import Spool

async def refuse(content):
    await asyncio.sleep(60)

async def main():
    spool = Spool(Path(sys.argv[1]), refuse)
    for number in range(1000):
        assert spool.keep(b"%d\\n" % number)
        if number == 500:
            await asyncio.sleep(0.3)  # the first are being sent
    print("kept", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


class Store:
    """Takes what is sent, unless it is away."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.away = False

    async def send(self, content: bytes) -> None:
        if self.away:
            raise StoreUnavailableError("away")
        self.entries.append(content)

    @property
    def lines(self) -> list[int]:
        return sorted(int(line) for line in b"".join(self.entries).splitlines())


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(spool_module, "SECONDS", 0.02)
    monkeypatch.setattr(spool_module, "AGAIN_SECONDS", 0.02)
    return Store()


@pytest.fixture
async def spool(store: Store, tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path, store.send)
    yield spool
    await spool.close()
    assert not list(tmp_path.iterdir())


async def until(count: int, store: Store) -> None:
    async with asyncio.timeout(10):
        while len(store.lines) < count:
            await asyncio.sleep(0.01)


async def test_what_comes_together_is_sent_together(spool: Spool, store: Store, tmp_path: Path) -> None:
    """It is in a file at once and in the store a little later; then the files are empty."""
    for number in range(10):
        assert spool.keep(b"%d\n" % number)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == 20
    assert store.entries == []
    await until(10, store)
    assert len(store.entries) == 1
    assert spool.keep(b"10\n")
    await until(11, store)
    await asyncio.sleep(0)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == 0


async def test_pieces_are_not_larger_than_they_may(spool: Spool, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "PIECE", 4)
    for number in range(5):
        assert spool.keep(b"%d\n" % number)
    await until(5, store)
    assert [len(entry) for entry in store.entries] == [4, 4, 2]


async def test_a_store_that_is_away_gets_it_when_it_is_back(
    spool: Spool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as there is room: then it says no, and yes again later."""
    monkeypatch.setattr(spool_module, "MOST", 20)
    store.away = True
    assert [spool.keep(b"%d\n" % number) for number in range(11)] == [True] * 10 + [False]
    await asyncio.sleep(0.1)
    assert store.entries == []
    store.away = False
    await until(10, store)
    assert spool.keep(b"10\n")
    await until(11, store)
    assert store.lines == list(range(11))


async def test_closing_sends_what_is_left(store: Store, tmp_path: Path) -> None:
    """Or leaves it to the next process."""
    spool = Spool(tmp_path, store.send)
    spool.keep(b"1\n")
    store.away = True
    await spool.close()
    assert [file.read_bytes() for file in tmp_path.iterdir() if file.stat().st_size] == [b"1\n"]
    store.away = False
    another = Spool(tmp_path, store.send)
    await another.adopt()
    assert store.lines == [1]
    await another.close()


async def test_a_disk_that_takes_half_of_it_keeps_none_of_it(
    spool: Spool, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line would spoil the next one."""
    assert spool.keep(b"1\n")
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(spool_module.os, "write", lambda number, content: write(number, content[: len(content) // 2]))
        with pytest.raises(OSError, match="the disk is full"):
            spool.keep(b"2222\n")
    assert spool.keep(b"3\n")
    assert [file.read_bytes() for file in tmp_path.iterdir() if file.stat().st_size] == [b"1\n3\n"]
    await until(2, store)
    assert store.lines == [1, 3]


async def test_a_directory_that_is_away_is_no_matter_until_something_is_to_be_kept(
    store: Store, tmp_path: Path
) -> None:
    """A worker starts without it; then keeping fails, and succeeds once it is there."""
    (tmp_path / "volume").write_text("nothing is mounted here")
    spool = Spool(tmp_path / "volume/events", store.send)
    with pytest.raises(OSError, match="Not a directory"):
        spool.keep(b"1\n")
    (tmp_path / "volume").unlink()
    assert spool.keep(b"2\n")
    await until(1, store)
    await spool.close()
    assert store.lines == [2]


async def test_a_file_that_somebody_took_before_it_was_locked_is_not_used(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adopts the files of the dead may come between making it and locking it."""
    flock, taken = fcntl.flock, []

    def late(number: int, how: int) -> None:
        if not taken:
            [path] = tmp_path.iterdir()
            path.unlink()
            taken.append(path)
        flock(number, how)

    monkeypatch.setattr(spool_module.fcntl, "flock", late)
    spool = Spool(tmp_path, store.send)
    assert spool.keep(b"1\n")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"1\n"]
    await until(1, store)
    await spool.close()


async def test_a_process_that_was_killed_loses_nothing(store: Store, tmp_path: Path) -> None:
    """Its files are nobody's as long as it lives; a line that it did not finish was never kept."""
    words = [sys.executable, "-c", LIFE, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"kept\n"
        assert await adopt(tmp_path, store.send) == 0
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    largest = max(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    with largest.open("ab") as file:
        file.write(b"77")
    assert await adopt(tmp_path, store.send) == 2
    assert store.lines == list(range(1000))
    assert not list(tmp_path.iterdir())
