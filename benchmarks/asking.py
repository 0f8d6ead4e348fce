"""One HTTP connection that asks, answer after answer, and sees to the byte what comes back."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Connection:
    """HTTP/1.1 to a port of this machine; opened when it is needed, and again where it broke."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._port = port
        self._head = "host: x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Raises OSError, asyncio.IncompleteReadError, TimeoutError where it is cancelled by one."""
        try:
            await self.send(method, path, body)
            return await self._reply()
        except BaseException:  # a cancelled one too: what is still to come must not answer the next question
            self.close()
            raise

    async def send(self, method: str, path: str, body: bytes = b"", *, only: int | None = None) -> None:
        """Ask, and do not wait; with `only` so many bytes of the body, although all are announced. Raises OSError."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"{method} {path} HTTP/1.1\r\n{self._head}content-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body[:only])

    def close(self) -> None:
        """At once, whatever is under way."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    @property
    def is_open(self) -> bool:
        """Whether the next question goes over a connection that there is."""
        return self._writer is not None

    async def _reply(self) -> Reply:
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return Reply(int(head.split(b" ", 2)[1]), body)


async def ask_once(
    port: int, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Reply:
    """On a connection of its own. Raises what `Connection.ask` does."""
    connection = Connection(port, headers)
    try:
        return await connection.ask(method, path, body)
    finally:
        connection.close()
