"""A TCP proxy that passes bytes on, swallows them or holds them back."""

import asyncio
from contextlib import suppress
from types import TracebackType


class Proxy:
    """Stands before a server of this machine and does to all its connections what is set, from the next bytes on."""

    def __init__(self, target: int) -> None:
        """`target`: the server's port; another one is for the connections to come."""
        self.swallowing = False  # in both directions; connections stay open
        self.delay = 0.0  # seconds that each reply is late
        self.target = target
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._passing:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        for task in (
            asyncio.create_task(self._pass(reader, server_writer, is_reply=False)),
            asyncio.create_task(self._pass(server_reader, writer, is_reply=True)),
        ):
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if is_reply and self.delay:
                    await asyncio.sleep(self.delay)
                if not self.swallowing:
                    writer.write(data)
        writer.close()
