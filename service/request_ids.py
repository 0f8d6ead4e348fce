"""Which request is being answered: an id, and the trace it is part of where the client says so (W3C Trace Context)."""

import itertools
import re
import secrets
from collections.abc import Iterable, Mapping
from contextvars import ContextVar

REQUEST_ID, TRACE_ID, TRACEPARENT, LENGTH = b"x-request-id", b"x-trace-id", b"traceparent", b"content-length"
READ = frozenset((REQUEST_ID, TRACEPARENT, LENGTH))
FIELDS = {REQUEST_ID: "request_id", TRACE_ID: "trace_id"}
ACCEPTED = re.compile(rb"[!-~]{1,128}").fullmatch  # printable ASCII
PARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?").fullmatch

Headers = tuple[tuple[bytes, bytes], ...]
_ANSWERED: ContextVar[Headers] = ContextVar("answered", default=())


class RequestIds:
    """Numbers the requests of a process that bring no id of their own, after a random beginning."""

    def __init__(self) -> None:
        self._beginning = secrets.token_hex(8).encode()
        self._numbers = itertools.count(1)

    def begin(self, headers: Mapping[bytes, bytes]) -> Headers:
        """From here on this task answers that request -> headers that tell the client, which log lines carry too."""
        given = headers.get(REQUEST_ID)
        if given is None or not ACCEPTED(given):
            given = b"%b-%x" % (self._beginning, next(self._numbers))
        told: Headers = ((REQUEST_ID, given),)
        if (parent := parsed(headers.get(TRACEPARENT))) is not None:
            told = (*told, (TRACE_ID, parent[0]))
        _ANSWERED.set(told)
        return told


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers that whoever stands before an application looks at, in one pass."""
    return {name: value for name, value in headers if name in READ}


def parsed(traceparent: bytes | None) -> tuple[bytes, bytes, bytes] | None:
    """Trace id, span id and flags in hex; None for one that is missing or invalid."""
    if traceparent is None or (found := PARENT(traceparent)) is None:
        return None
    trace_id, span_id, flags, more = found.groups()
    return None if more and traceparent.startswith(b"00") else (trace_id, span_id, flags)


def log_fields() -> dict[str, str]:
    """`request_id` and, in a trace, `trace_id` of the request that this task answers; nothing outside of requests."""
    return {FIELDS[name]: value.decode("ascii") for name, value in _ANSWERED.get()}
