"""How connections end when a worker is told to stop."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SETTLE = 0.5  # seconds in which all workers stop listening, before a client is sent away to connect again
GRACE = 1.0  # seconds that an idle connection stays open after that: a request may be on its way


class DrainingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but what arrives on an open connection while the worker stops is still answered.

    The answer says `connection: close`, so that the client's next request goes to somebody else.
    """

    _draining = False

    def shutdown(self) -> None:
        """Called once, when the worker is told to stop and listens no more."""
        self.loop.call_later(SETTLE, self._drain)

    def on_headers_complete(self) -> None:
        """A request has come."""
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def _drain(self) -> None:
        self._draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(GRACE, super().shutdown)
