"""From a store URL to a store."""

from pathlib import Path

from service.stores.base import SequenceStore
from service.stores.breaker import CircuitBreaker

SQLITE = "sqlite:///"
REDIS = ("redis://", "rediss://", "unix://")


def open_store(
    url: str, *, stored_events: int = 200, timeout: float = 0.05, breaker: CircuitBreaker | None = None
) -> SequenceStore:
    """`sqlite:///path` or `redis://host:port/db`. `timeout`: seconds a read from Redis may take.

    `breaker` stands before Redis; SQLite, which lives in this process, needs none.

    Raises ValueError for another scheme, StoreUnavailableError when SQLite cannot open its file.
    """
    if stored_events < 1:
        raise ValueError(f"stored_events must be at least 1, got {stored_events}")
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        from service.stores.sqlite import SQLiteStore

        return SQLiteStore(Path(url.removeprefix(SQLITE)), stored_events=stored_events)
    if url.startswith(REDIS):
        from service.stores.redis import RedisStore

        return RedisStore(url, stored_events=stored_events, timeout=timeout, breaker=breaker)
    raise ValueError(f"the store must be sqlite:///path, {', '.join(REDIS)}..., got {url.partition('://')[0]!r}")
