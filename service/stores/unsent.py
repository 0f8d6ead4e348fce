"""What is to be logged in Redis with the next command, whichever that is."""

import asyncio
from typing import NamedTuple

from service.stores.base import StoreUnavailableError

LOG_FIELD = b"e"


class Unsent(NamedTuple):
    """Several contents become one entry; all who wait for it wait for the same."""

    contents: list[bytes]
    written: asyncio.Future[None]

    def fields(self) -> dict[bytes, bytes]:
        """The entry of the stream."""
        return {LOG_FIELD: b"".join(self.contents)}

    def settle(self, error: BaseException | None = None) -> None:
        """Whoever waits is told; with an error it may or may not be there."""
        if self.written.done():
            return
        if error is None:
            self.written.set_result(None)
        else:
            self.written.set_exception(StoreUnavailableError(f"redis: {type(error).__name__}: {error}"))
