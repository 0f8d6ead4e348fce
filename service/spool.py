"""What is to be buffered in the store soon: until then in files that outlive this process, though not a power cut.

A write to the page cache takes microseconds where the store would take a tenth of a millisecond, and what came within a
tenth of a second is one entry of the store's buffer. Two files take turns: one is written while the other's content is
sent. Whoever finds the files of a process that was killed sends what they hold; so it may be there twice.
"""

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable
from errno import ENOSPC
from pathlib import Path
from uuid import uuid4

from service.store_errors import store_failed
from service.stores.base import StoreUnavailableError

Send = Callable[[bytes], Awaitable[object]]  # raises StoreUnavailableError
SECONDS, AGAIN_SECONDS = 0.1, 1.0  # between two sends, and after one that failed
PIECE, MOST = 1 << 18, 32 << 20  # bytes: of one entry, about; of all that wait, while the store is away
NAMES = ".unsent-*"


class Spool:
    """Of one worker. Content is whole lines; it may be sent in any order."""

    def __init__(self, directory: Path, send: Send) -> None:
        """Touches nothing in `directory` until there is something to keep."""
        self._directory = directory
        self._send = send
        self._written, self._sent = _File(directory), _File(directory)
        self._waiting: list[bytes] = []
        self._size = 0
        self._sending: asyncio.Task[None] | None = None

    def keep(self, content: bytes) -> bool:
        """Once this returns, it outlives this process; False where nothing more can be kept. Raises OSError."""
        if self._size + len(content) > MOST:
            return False
        self._written.add(content)
        self._waiting.append(content)
        self._size += len(content)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return True

    async def adopt(self) -> int:
        """Send what processes left that are no more -> how many files. Raises StoreUnavailableError, OSError."""
        return await adopt(self._directory, self._send)

    async def close(self) -> None:
        """Send what is left; what the store does not take, another process will find."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        for file in (self._written, self._sent):
            file.close()
        try:
            await self.adopt()
        except (StoreUnavailableError, OSError) as error:
            store_failed("expose", error)

    async def _send_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(SECONDS)
            contents, self._waiting = self._waiting, []
            self._written, self._sent = self._sent, self._written
            for piece in _pieces(contents):
                while not await self._taken(piece):
                    await asyncio.sleep(AGAIN_SECONDS)
                self._size -= len(piece)
            self._sent.clear()
        self._sending = None

    async def _taken(self, piece: bytes) -> bool:
        try:
            await self._send(piece)
        except Exception as error:  # whatever it is: the file still has it
            store_failed("expose", error)
            return False
        return True


class _File:
    """Made when it is first written to, and locked from then on, as long as its process lives."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number: int | None = None
        self._size = 0

    def add(self, content: bytes) -> None:
        if self._number is None:
            self._number = _locked_file(self._directory)
        if os.write(self._number, content) < len(content):
            os.ftruncate(self._number, self._size)  # or half a line would stand before the next one
            raise OSError(ENOSPC, "the disk is full")
        self._size += len(content)

    def clear(self) -> None:
        if self._number is not None:
            os.ftruncate(self._number, 0)
        self._size = 0

    def close(self) -> None:
        if self._number is not None:
            os.close(self._number)


def _locked_file(directory: Path) -> int:
    """A new one; another, where somebody took it for a dead process's before it was locked."""
    directory.mkdir(parents=True, exist_ok=True)
    while True:
        path = directory / NAMES.replace("*", uuid4().hex)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(number, fcntl.LOCK_EX)
        if os.fstat(number).st_nlink:
            return number
        os.close(number)


async def adopt(directory: Path, send: Send) -> int:
    """See `Spool.adopt`. Files are read by a thread: a volume may hang, and nobody has to wait for it."""
    found = 0
    for path in await asyncio.to_thread(lambda: sorted(directory.glob(NAMES))):
        left = await asyncio.to_thread(_left, path)
        if left is None:
            continue
        number, lines = left
        try:
            for piece in _pieces(lines):
                await send(piece)
            await asyncio.to_thread(path.unlink)
            found += 1
        finally:
            os.close(number)
    return found


def _left(path: Path) -> tuple[int, list[bytes]] | None:
    """A file's number, locked, and its whole lines; None where its process lives, or somebody else was faster."""
    try:
        number = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        whole = path.read_bytes().rpartition(b"\n")
    except (BlockingIOError, FileNotFoundError):
        os.close(number)
        return None
    except BaseException:
        os.close(number)
        raise
    return number, [line + b"\n" for line in whole[0].split(b"\n")] if whole[1] else []


def _pieces(contents: list[bytes]) -> list[bytes]:
    """Joined to what an entry may hold."""
    pieces: list[list[bytes]] = [[]]
    size = 0
    for content in contents:
        if size and size + len(content) > PIECE:
            pieces.append([])
            size = 0
        pieces[-1].append(content)
        size += len(content)
    return [b"".join(piece) for piece in pieces if piece]
