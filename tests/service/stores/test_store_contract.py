"""What every store promises, on the real thing."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from service.stores.base import EventStatus, Interaction, SequenceStore, StoredEvent, event_key
from service.stores.opening import open_store

OpenStore = Callable[..., SequenceStore]
ACCEPTED, DUPLICATE, LATE = EventStatus


@pytest.fixture
def user() -> str:
    return uuid4().hex


def event(user: str, item: str, timestamp: int, event_id: str = "") -> StoredEvent:
    return StoredEvent(user, item, timestamp, event_key(event_id or f"{item}@{timestamp}"))


async def items(store: SequenceStore, user: str) -> list[str]:
    return [interaction.item_id for interaction in (await store.recent_many([user]))[0]]


async def test_a_sequence_is_read_oldest_first(opened: OpenStore, store_url: str, user: str) -> None:
    store = opened(store_url)
    assert await store.append([event(user, "c", 3), event(user, "a", 1), event(user, "b", 2)]) == [ACCEPTED] * 3
    assert await store.recent_many([user]) == [[Interaction("a", 1), Interaction("b", 2), Interaction("c", 3)]]


async def test_only_the_newest_are_kept_and_older_ones_are_late(opened: OpenStore, store_url: str, user: str) -> None:
    store = opened(store_url, stored_events=2)
    assert await store.append([event(user, name, at) for at, name in enumerate("abc")]) == [ACCEPTED] * 3
    assert await store.append([event(user, "a", 0), event(user, "b", 1)]) == [LATE, DUPLICATE]
    assert await items(store, user) == ["b", "c"]


async def test_of_two_versions_of_an_event_the_newer_stands(opened: OpenStore, store_url: str, user: str) -> None:
    """By (timestamp, item_id): z beats é only in some locales; as bytes é is the greater."""
    store = opened(store_url)
    versions = [event(user, "z", 5, "one"), event(user, "é", 5, "one"), event(user, "zz", 4, "one")]
    assert await store.append(versions) == [ACCEPTED, DUPLICATE, DUPLICATE]
    assert await store.recent_many([user]) == [[Interaction("é", 5)]]


async def test_a_batch_is_read_in_the_order_asked(opened: OpenStore, store_url: str, user: str) -> None:
    store = opened(store_url)
    users = [f"{user}-{number}" for number in range(600)]
    await store.append([event(name, f"item of {name}", 1) for name in users])
    asked = [*reversed(users), "nobody", users[0], users[0]]
    found = await store.recent_many(asked)
    assert found == [[Interaction(f"item of {name}", 1)] if name in users else [] for name in asked]


async def test_nothing_asked_is_nothing_answered(opened: OpenStore, store_url: str) -> None:
    store = opened(store_url)
    await store.ping()
    assert await store.append([]) == []
    assert await store.recent_many([]) == []


async def test_an_erased_user_is_forgotten(opened: OpenStore, store_url: str, user: str) -> None:
    store = opened(store_url)
    await store.append([event(user, "a", 1), event(f"{user}2", "b", 1)])
    assert [await store.erase(user), await store.erase(user)] == [True, False]
    assert [await items(store, user), await items(store, f"{user}2")] == [[], ["b"]]
    assert await store.append([event(user, "a", 1)]) == [ACCEPTED]


@pytest.mark.parametrize("name", ["日本語", "{braces}}", "🜚" * 256, "x" * 256, "a\0b", "' OR 1 --", "a b\r\n$1"])
async def test_ids_are_any_text(opened: OpenStore, store_url: str, user: str, name: str) -> None:
    store = opened(store_url)
    await store.append([event(user + name, name, 2**53 - 1)])
    assert await store.recent_many([user + name]) == [[Interaction(name, 2**53 - 1)]]


async def test_a_lower_limit_takes_effect_at_once(opened: OpenStore, store_url: str, user: str) -> None:
    await opened(store_url, stored_events=5).append([event(user, name, at) for at, name in enumerate("abcde")])
    store = opened(store_url, stored_events=2)
    assert await items(store, user) == ["d", "e"]
    assert await store.append([event(user, "c", 2), event(user, "f", 9)]) == [LATE, ACCEPTED]
    assert await items(store, user) == ["e", "f"]


@pytest.mark.parametrize(("timestamp", "key"), [(-1, 0), (2**53, 0), (0, -1), (0, 2**48)])
async def test_what_cannot_be_stored_is_refused(
    opened: OpenStore, store_url: str, user: str, timestamp: int, key: int
) -> None:
    store = opened(store_url)
    with pytest.raises(ValueError, match=r"must be 0 <= \w+ < 2\*\*"):
        await store.append([event(user, "good", 1), StoredEvent(user, "bad", timestamp, key)])
    assert await items(store, user) == []


async def test_simultaneous_appends_to_one_user_lose_nothing(opened: OpenStore, store_url: str, user: str) -> None:
    stores = [opened(store_url), opened(store_url)]
    batches = [stores[at % 2].append([event(user, f"{at:03}", at)]) for at in range(100)]
    assert await asyncio.gather(*batches) == [[ACCEPTED]] * 100
    assert await items(stores[0], user) == [f"{at:03}" for at in range(100)]


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///", "nonsense"])
def test_an_unknown_url_is_refused_with_what_was_wanted(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be sqlite:///path, redis://.*, got "):
        open_store(url)


def test_a_store_keeps_at_least_one_event() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        open_store("redis://localhost", stored_events=0)


async def test_what_is_logged_alone_is_buffered_in_order_and_read_in_pages(opened: OpenStore, store_url: str) -> None:
    """After an entry come those that were buffered later."""
    store = opened(store_url)
    await store.drop_logged([entry.entry_id for entry in await store.logged(10_000)])
    await store.append([], b"first")
    await store.append([], b"second")
    await store.append([], b"third" * 100_000)
    one, two, three = await store.logged(10)
    assert [entry.content for entry in (one, two, three)] == [b"first", b"second", b"third" * 100_000]
    assert await store.logged(1) == [one]
    assert await store.logged(1, after=one.entry_id) == [two]
    assert await store.logged(5, after=two.entry_id) == [three]
    assert await store.logged(5, after=three.entry_id) == []
    await store.drop_logged([one.entry_id, three.entry_id])
    assert await store.logged(5) == [two]
    assert await store.logged_count() == 1
    assert len(two.content) <= await store.logged_bytes() < 5000
    await store.drop_logged([two.entry_id])
    assert await store.logged_bytes() == 0
    for _ in range(100):
        await store.append([], b"x" * 10_000)
    assert 1e6 <= await store.logged_bytes() < 2e6
    await store.drop_logged([entry.entry_id for entry in await store.logged(1000)])
