"""Bytes a user and an event take, in Redis and in SQLite.

    python benchmarks/store_memory.py --users 100000

Redis: what the memory in use grows by (key, value, expiry and the server's own tables), on a server of its own. SQLite:
the file after it was closed. Item ids have 10 bytes, user ids 10. Some of what was stored is sent once more at the end
of each case: nothing may change.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from serving_load import redis_server

from service.stores.base import EventStatus, SequenceStore, StoredEvent, event_key
from service.stores.opening import open_store
from training.results import record

RESULTS = Path(__file__).parent / "results/store-memory.jsonl"
STARTING = Retry(ConstantBackoff(0.05), 100)
BATCH = 100  # users a write
BEGUN = 1_767_225_600_000_000  # 2026, in microseconds
CASES: tuple[tuple[int, float | None], ...] = ((50, None), (50, 90.0), (200, None))  # events a user, days kept


def main() -> None:
    """Measure every case in both stores, and record a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    for events, days in CASES:
        for measure in (in_redis, in_sqlite):
            with tempfile.TemporaryDirectory() as folder:
                name, taken = measure(Path(folder), arguments.users, events, days)
            metrics = {"bytes_per_user": taken / arguments.users, "bytes_per_event": taken / arguments.users / events}
            place: dict[str, Any] = {"users": arguments.users, "events_per_user": events, "stored_days": days}
            record(arguments.results, kind="store", dataset="synthesized", method=name, **place, metrics=metrics)
            print(f"{name:16} {events:3} events, days {days}: {metrics}")


def in_redis(folder: Path, users: int, events: int, days: float | None) -> tuple[str, int]:
    """The server and the bytes of memory in use that it took."""
    with redis_server(folder) as url, Redis.from_url(url, retry=STARTING) as client:
        begun = client.info("memory")["used_memory"]
        asyncio.run(filled(url, users, events, days))
        server = client.info("server")
        name = (
            f"valkey {server['valkey_version']}" if "valkey_version" in server else f"redis {server['redis_version']}"
        )
        return name, client.info("memory")["used_memory"] - begun


def in_sqlite(folder: Path, users: int, events: int, days: float | None) -> tuple[str, int]:
    """The store and the bytes on disk that it took."""
    asyncio.run(filled(f"sqlite:///{folder}/store.sqlite3", users, events, days))
    return "sqlite", sum(file.stat().st_size for file in folder.iterdir())


async def filled(url: str, users: int, events: int, days: float | None) -> None:
    """Store every user's events, and the first users' again."""
    store = open_store(url, stored_events=events, stored_days=days, timeout=5)
    for start in range(0, users, BATCH):
        await answered(store, range(start, min(start + BATCH, users)), events, EventStatus.ACCEPTED)
    await answered(store, range(BATCH), events, EventStatus.DUPLICATE)
    await store.close()


async def answered(store: SequenceStore, users: range, events: int, expected: EventStatus) -> None:
    """Raises AssertionError when the store says anything else of an event."""
    statuses = await store.append(list(chain.from_iterable(sequence(user, events) for user in users)))
    if set(statuses) != {expected}:
        raise AssertionError(f"wanted {expected.value} of every event, found {sorted(set(statuses))}")


def sequence(user: int, events: int) -> Iterator[StoredEvent]:
    """A user's events, a minute apart."""
    user_id = f"u{user:09}"
    for place in range(events):
        item_id, timestamp = f"B{(user * 7919 + place * 104_729) % 10**9:09}", BEGUN + place * 60_000_000
        yield StoredEvent(user_id, item_id, timestamp, event_key(f"{user_id} {item_id} {timestamp}"))


if __name__ == "__main__":
    main()
