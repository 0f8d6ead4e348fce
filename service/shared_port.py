"""One port, a listening socket a worker: the kernel spreads connections over them.

Workers that accept from one socket take what they can get: of 32 connections one may take all and the others none.
"""

import socket
from typing import Any


class PortInUseError(OSError):
    """Somebody else listens there, or the address is not ours."""


class SharedPort:
    """Goes to a worker's process as what to open: pickled here, it is a bound socket of its own there."""

    def __init__(self, host: str, port: int) -> None:
        """Raises PortInUseError, also when another service shares the port with its own workers."""
        self._address = (host, port)
        try:
            with _opened(host) as probe:
                probe.bind(self._address)
        except OSError as error:
            raise PortInUseError(f"the port {host}:{port} cannot be opened: {error.strerror}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return _bound, self._address


def _opened(host: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return opened


def _bound(host: str, port: int) -> socket.socket:
    opened = _opened(host)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.bind((host, port))
    return opened
