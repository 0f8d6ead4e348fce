"""Is this request allowed? Asked before its body is read."""

import time
from dataclasses import dataclass, field
from typing import Protocol

from starlette.types import Scope as Connection

from service.errors import ForbiddenError, TooManyRequestsError, UnauthorizedError
from service.security.keys import KeyRing, Scope

OPEN = ("/health/", "/metrics", "/openapi.json", "/console")  # the last asks the public port, which asks for keys
BEARER = b"bearer "
MOST_BUCKETS = 10_000  # subjects whose rate is followed


class Caller(Protocol):
    """Who asks: an API key, or the subject of a token."""

    @property
    def name(self) -> str:
        """What the audit log calls it."""
        ...

    @property
    def scopes(self) -> frozenset[Scope]:
        """What it may do."""
        ...

    @property
    def rate(self) -> float | None:
        """Requests a second; None: no limit."""
        ...


class TokenCheck(Protocol):
    """What tells whom a token speaks for."""

    def find(self, token: str) -> Caller:
        """Raises UnauthorizedError."""
        ...

    def refresh(self) -> None:
        """Called again and again; does not wait."""
        ...


class Access:
    """Keys and tokens with scopes and rates. Without either everybody may do everything."""

    def __init__(self, keys: KeyRing | None, tokens: TokenCheck | None = None, *, workers: int = 1) -> None:
        """Each of `workers` processes grants its share of a rate."""
        self._keys = keys
        self._tokens = tokens
        self._workers = workers
        self._buckets: dict[str, Bucket] = {}
        self.asks = keys is not None or tokens is not None

    def refresh(self) -> None:
        """Take up a changed keys file, and the keys that tokens are signed with."""
        for known in (self._keys, self._tokens):
            if known is not None:
                known.refresh()

    def check(self, connection: Connection) -> str | None:
        """The name of the caller; None where none is needed.

        Raises UnauthorizedError, ForbiddenError, TooManyRequestsError.
        """
        path: str = connection["path"]
        if not self.asks or path.startswith(OPEN):
            return None
        caller = self._caller(_presented(connection))
        wanted = needed(connection["method"], path)
        if wanted not in caller.scopes:
            raise ForbiddenError(f"the key {caller.name!r} lacks the scope {wanted!r}")
        self._take(caller)
        return caller.name

    def _caller(self, presented: str) -> Caller:
        """A token has three parts with dots between them, a key of ours has no dot."""
        if self._tokens is not None and presented.count(".") == 2:
            return self._tokens.find(presented)
        key = self._keys.find(presented) if self._keys is not None else None
        if key is None:
            raise UnauthorizedError("the API key is not valid")
        return key

    def _take(self, caller: Caller) -> None:
        if caller.rate is None:
            return
        bucket = self._buckets.get(caller.name)
        if bucket is None or bucket.rate != caller.rate / self._workers:
            while len(self._buckets) >= MOST_BUCKETS:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[caller.name] = Bucket(caller.rate / self._workers)
        if not bucket.take():
            raise TooManyRequestsError(f"the key {caller.name!r} may ask {caller.rate:g} times a second")


@dataclass
class Bucket:
    """Fills with `rate` tokens a second, up to what a second brings and at least one; each request takes one."""

    rate: float
    tokens: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens, self.at = max(1.0, self.rate), time.monotonic()

    def take(self) -> bool:
        """Whether there was one to take."""
        now = time.monotonic()
        self.tokens = min(max(1.0, self.rate), self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def needed(method: str, path: str) -> Scope:
    """The scope of a call: what writes needs `events`, the admin port `admin`, the rest `read`."""
    if path.startswith("/admin"):
        return "admin"
    return "events" if path == "/v1/events" or method == "DELETE" else "read"


def _presented(connection: Connection) -> str:
    for name, value in connection["headers"]:
        if name == b"authorization" and value[: len(BEARER)].lower() == BEARER:
            return str(value[len(BEARER) :].decode("latin-1"))
        if name == b"x-api-key":
            return str(value.decode("latin-1"))
    raise UnauthorizedError("give an API key or a token: Authorization: Bearer KEY")
