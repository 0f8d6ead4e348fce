"""How connections end when a worker is told to stop."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

GRACE = 1.0  # seconds that an idle connection stays open: a request may be on its way


class DrainingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but what arrives on an open connection while the worker stops is still answered.

    The answer says `connection: close`, so that the client's next request goes to somebody else.
    """

    _draining = False

    def shutdown(self) -> None:
        """Called once, when the worker is told to stop."""
        self._draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(GRACE, super().shutdown)
        else:
            super().shutdown()

    def on_headers_complete(self) -> None:
        """A request has come."""
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False
