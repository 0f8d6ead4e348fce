"""A user without events for `stored_days` is forgotten, the same way by every store."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from service.stores.base import EventStatus, SequenceStore, StoredEvent
from service.stores.sqlite import SQLiteStore

OpenStore = Callable[..., SequenceStore]
SECONDS = 1.0
DAYS = SECONDS / 86_400


@pytest.fixture
def user() -> str:
    return uuid4().hex


async def items(store: SequenceStore, user: str) -> list[str]:
    return [interaction.item_id for interaction in (await store.recent_many([user]))[0]]


async def everyone(store: SequenceStore, user: str) -> list[str]:
    return [event.item_id async for event in store.everything() if event.user_id == user]


async def test_every_event_starts_the_time_again(opened: OpenStore, store_url: str, user: str) -> None:
    """A repeated one too: seen at 0 and .6 seconds, still there at 1.2, gone at 2.2."""
    store = opened(store_url, stored_days=DAYS)
    event = StoredEvent(user, "a", 1, 1)
    assert await store.append([event]) == [EventStatus.ACCEPTED]
    await asyncio.sleep(0.6)
    assert await store.append([event]) == [EventStatus.DUPLICATE]
    await asyncio.sleep(0.6)
    assert await items(store, user) == ["a"]
    await asyncio.sleep(1)
    assert [await items(store, user), await everyone(store, user)] == [[], []]
    assert await store.erase(user) is False
    assert await store.append([event]) == [EventStatus.ACCEPTED]


async def test_a_forgotten_sequence_does_not_come_back(opened: OpenStore, store_url: str, user: str) -> None:
    store = opened(store_url, stored_days=DAYS)
    await store.append([StoredEvent(user, "a", 1, 1)])
    await asyncio.sleep(1.2)
    await store.append([StoredEvent(user, "b", 2, 2)])
    assert await items(store, user) == ["b"]


async def test_the_setting_counts_from_a_user_s_next_event(opened: OpenStore, store_url: str, user: str) -> None:
    """Stored without it: kept. A next event with it: over. A next event without it: kept again."""
    forever, limited = opened(store_url), opened(store_url, stored_days=DAYS)
    for name in ("idle", "active", "back"):
        await forever.append([StoredEvent(user + name, "a", 1, 1)])
    for name in ("active", "back"):
        await limited.append([StoredEvent(user + name, "b", 2, 2)])
    await forever.append([StoredEvent(user + "back", "c", 3, 3)])
    await asyncio.sleep(1.2)
    found = {name: await items(forever, user + name) for name in ("idle", "active", "back")}
    assert found == {"idle": ["a"], "active": [], "back": ["a", "b", "c"]}


def users_in(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        found = [name for (name,) in connection.execute("SELECT user_id FROM sequences ORDER BY user_id")]
    connection.close()
    return found


async def test_sqlite_gives_back_the_room(opened: OpenStore, tmp_path: Path) -> None:
    """1,500 users are over; the appends that follow remove 1,000 and 500 of them."""
    path = tmp_path / "events.sqlite3"
    limited = opened(f"sqlite:///{path}", stored_days=DAYS)
    await limited.append([StoredEvent(f"user {number:04}", "a", 1, 1) for number in range(1500)])
    await asyncio.sleep(1.2)
    later = opened(f"sqlite:///{path}")
    for left in (500, 0, 0):
        await later.append([StoredEvent("z", "a", 1, 1)])
        assert len(users_in(path)) == left + 1


async def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Made without the column `expires`: its users are kept for ever, until their next event."""
    path = tmp_path / "events.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sequences (user_id TEXT PRIMARY KEY, packed BLOB NOT NULL) WITHOUT ROWID")
        packed = (1).to_bytes(7, "big") + (1).to_bytes(6, "big") + b"\0\1a"
        connection.execute("INSERT INTO sequences VALUES ('u', ?)", (packed,))
    connection.close()
    first, second = (SQLiteStore(path, stored_events=9, stored_days=DAYS) for _ in range(2))
    assert [await items(first, "u"), await items(second, "u")] == [["a"], ["a"]]
    await first.append([StoredEvent("u", "b", 2, 2)])
    assert await items(second, "u") == ["a", "b"]
    await first.close()
    await second.close()
