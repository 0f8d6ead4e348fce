"""From a store URL to a store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict, Unpack

from service.stores.base import SequenceStore
from service.stores.breaker import CircuitBreaker

SQLITE = "sqlite:///"
REDIS = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix")


class StoreOptions(TypedDict, total=False):
    """How a store keeps and answers; see `open_store`."""

    stored_events: int
    stored_days: float | None
    timeout: float
    password_file: Path | None
    breaker: CircuitBreaker | None


def open_store(
    url: str,
    *,
    stored_events: int = 200,
    stored_days: float | None = None,
    timeout: float = 0.05,
    password_file: Path | None = None,
    breaker: CircuitBreaker | None = None,
) -> SequenceStore:
    """`sqlite:///path` or a URL of Redis, see `service.stores.redis_client.FORMS`.

    `stored_days`: a user without events for so long is forgotten. `timeout`: seconds a read from Redis may take.
    `breaker` stands before Redis; SQLite, which lives in this process, needs none.

    Raises ValueError for another URL, StoreUnavailableError when SQLite cannot open its file.
    """
    if stored_events < 1:
        raise ValueError(f"stored_events must be at least 1, got {stored_events}")
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        from service.stores.sqlite import SQLiteStore

        return SQLiteStore(Path(url.removeprefix(SQLITE)), stored_events=stored_events, stored_days=stored_days)
    scheme, found, _ = url.partition("://")
    if found and scheme in REDIS:
        from service.stores.redis import RedisStore
        from service.stores.redis_client import redis_client

        client = redis_client(url, timeout=timeout, password_file=password_file)
        return RedisStore(
            client, stored_events=stored_events, stored_days=stored_days, timeout=timeout, breaker=breaker
        )
    got = f"{scheme!r}" if found else "no scheme"  # what stands elsewhere may be a password
    raise ValueError(f"the store must be sqlite:///path, {', '.join(f'{one}://...' for one in REDIS)}, got {got}")


@asynccontextmanager
async def opened_store(url: str, **options: Unpack[StoreOptions]) -> AsyncIterator[SequenceStore]:
    """A store, see `open_store`, that is closed at the end."""
    store = open_store(url, **options)
    try:
        yield store
    finally:
        await store.close()
