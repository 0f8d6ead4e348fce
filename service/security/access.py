"""Is this request allowed? Asked before its body is read."""

import time
from dataclasses import dataclass, field

from starlette.types import Scope as Connection

from service.errors import ForbiddenError, TooManyRequestsError, UnauthorizedError
from service.security.keys import ApiKey, KeyRing, Scope

OPEN = ("/health/", "/metrics", "/openapi.json")
BEARER = b"bearer "


class Access:
    """Keys with scopes and rates. Without a keys file everybody may do everything."""

    def __init__(self, keys: KeyRing | None, *, workers: int = 1) -> None:
        """Each of `workers` processes grants its share of a key's rate."""
        self._keys = keys
        self._workers = workers
        self._buckets: dict[str, Bucket] = {}

    def refresh(self) -> None:
        """Take up a changed keys file."""
        if self._keys is not None:
            self._keys.refresh()

    def check(self, connection: Connection) -> str | None:
        """The name of the key; None where none is needed.

        Raises UnauthorizedError, ForbiddenError, TooManyRequestsError.
        """
        path: str = connection["path"]
        if self._keys is None or path.startswith(OPEN):
            return None
        key = self._keys.find(_presented(connection))
        if key is None:
            raise UnauthorizedError("the API key is not valid")
        wanted = needed(connection["method"], path)
        if wanted not in key.scopes:
            raise ForbiddenError(f"the key {key.name!r} lacks the scope {wanted!r}")
        self._take(key)
        return key.name

    def _take(self, key: ApiKey) -> None:
        if key.rate is None:
            return
        bucket = self._buckets.get(key.name)
        if bucket is None or bucket.rate != key.rate / self._workers:
            bucket = self._buckets[key.name] = Bucket(key.rate / self._workers)
        if not bucket.take():
            raise TooManyRequestsError(f"the key {key.name!r} may ask {key.rate:g} times a second")


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
    raise UnauthorizedError("give an API key: Authorization: Bearer KEY")
