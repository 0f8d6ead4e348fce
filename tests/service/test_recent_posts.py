"""A store that begins anew gets back what no file holds yet."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from service import recent_posts
from service.events import EventIntake
from service.recent_posts import RecentPosts
from service.stores.base import SequenceStore, StoreUnavailableError

OpenStore = Callable[..., SequenceStore]
TYPES = frozenset({"click"})


def fact(user: str, item: str, timestamp: float = 1.000001, kind: str = "click") -> dict[str, object]:
    return {"user_id": user, "item_id": item, "timestamp": timestamp, "type": kind}


def intake(store: SequenceStore) -> EventIntake:
    return EventIntake(store, TYPES, 300, RecentPosts(store, TYPES, written_every=1))


async def followed(its: EventIntake) -> int:
    assert its.posts is not None
    return await its.posts.follow()


def moved(its: EventIntake, store: SequenceStore) -> None:
    """As if the store it knew had been emptied."""
    assert its.posts is not None
    its.store = its.posts._store = store


async def items(store: SequenceStore, user: str) -> list[tuple[str, int]]:
    return [tuple(one) for one in (await store.recent_many([user]))[0]]


@pytest.fixture
def stores(opened: OpenStore, tmp_path: Path) -> tuple[SequenceStore, SequenceStore]:
    """The one there was, and the empty one that is there now."""
    before, after = (opened(f"sqlite:///{tmp_path}/{name}.sqlite3") for name in ("before", "after"))
    return before, after


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its one element is what time.monotonic says."""
    now = [0.0]
    monkeypatch.setattr(recent_posts.time, "monotonic", lambda: now[0])
    return now


async def test_an_emptied_store_gets_the_last_posts_of_every_worker(
    opened: OpenStore, store_url: str, tmp_path: Path
) -> None:
    """Sequence and buffer are as they were; whoever follows first, and however often, changes nothing."""
    before, after = opened(store_url), opened(f"sqlite:///{tmp_path}/empty.sqlite3")
    workers = [intake(before), intake(before)]
    for worker in workers:
        assert await followed(worker) == 0
    await workers[0].receive([fact("emptied", "a", 5.000001), fact("emptied", "seen", 6, "impression")], None)
    await workers[1].receive([fact("emptied", "b", 4)], None)
    expected = await items(before, "emptied")
    assert expected == [("b", 4_000_000), ("a", 5_000_001)]
    for worker in workers:
        moved(worker, after)
        assert [await followed(worker), await followed(worker)] == [1, 0]
    assert await items(after, "emptied") == expected
    logged = b"".join(entry.content for entry in await after.logged(10))
    assert [logged.count(word) for word in (b'"item_id":"a"', b'"seen"', b'"item_id":"b"')] == [1, 1, 1]


async def test_a_store_that_was_only_away_gets_nothing_twice(opened: OpenStore, store_url: str) -> None:
    store = opened(store_url)
    worker = intake(store)
    await followed(worker)
    await worker.receive([fact("stayed", "a")], None)
    count = await store.logged_count()
    moved(worker, opened(store_url))
    assert await followed(worker) == 0
    assert await store.logged_count() == count


async def test_who_was_erased_stays_so_whichever_worker_heard_of_it(
    stores: tuple[SequenceStore, SequenceStore],
) -> None:
    """The one that took the event hands it in after the other has erased the user: it is erased once more."""
    before, after = stores
    erasing, posting = intake(before), intake(before)
    for worker in (erasing, posting):
        await followed(worker)
    await posting.receive([fact("gone", "a"), fact("here", "b")], None)
    assert await erasing.erase("gone")
    for worker in (erasing, posting):
        moved(worker, after)
        await followed(worker)
    assert await items(after, "gone") != [], "handed in by a worker that knows of no erasure"
    await followed(erasing)
    assert (await items(after, "gone"), await items(after, "here")) == ([], [("b", 1_000_001)])
    assert (await after.logged(10))[-1].content.startswith(b'{"erase":"gone"')


async def test_what_is_kept_is_bounded_by_time_and_by_size(
    stores: tuple[SequenceStore, SequenceStore],
    clock: list[float],
    opened: OpenStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Written every second: 2 x 1 + 10 seconds with the store; then two of three fit into 2.5 times their size."""
    before, after = stores
    worker = intake(before)
    for clock[0], item in [(0.0, "a"), (1.0, "b"), (12.5, "c")]:
        await followed(worker)
        await worker.receive([fact("bounded", item, 1 + clock[0])], None)
    clock[0] = 12.6
    await followed(worker)
    moved(worker, after)
    assert await followed(worker) == 2
    assert [item for item, _ in await items(after, "bounded")] == ["b", "c"]
    size = len((await after.logged(1))[0].content) // 2
    monkeypatch.setattr(recent_posts, "LARGEST", int(2.5 * size))
    for item in "def":
        await worker.receive([fact("large", item)], None)
    moved(worker, opened(f"sqlite:///{tmp_path}/third.sqlite3"))
    assert await followed(worker) == 2


async def test_time_without_the_store_makes_nothing_old(
    stores: tuple[SequenceStore, SequenceStore], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away for an hour, back for a moment as it was, and only then found to have begun anew."""
    before, after = stores
    worker = intake(before)
    await followed(worker)
    await worker.receive([fact("u", "a")], None)
    with monkeypatch.context() as away:
        away.setattr(before, "document", unavailable)
        with pytest.raises(StoreUnavailableError):
            await followed(worker)
    for clock[0] in (3600.0, 3601.0):
        assert await followed(worker) == 0
        await worker.receive([fact("u", f"at {clock[0]}", clock[0])], None)
    moved(worker, after)
    assert await followed(worker) == 3
    assert len(await items(after, "u")) == 3


async def unavailable(*_: object, **__: object) -> None:
    raise StoreUnavailableError("away")


async def test_a_long_list_is_handed_in_together(opened: OpenStore, store_url: str, tmp_path: Path) -> None:
    """1,500 posts of two users, and an erasure in their midst: two writes before it and two after it."""
    before, after = opened(f"sqlite:///{tmp_path}/before.sqlite3"), opened(store_url)
    worker = intake(before)
    await followed(worker)
    user = uuid4().hex
    for number in range(1500):
        await worker.receive([fact(user, str(number), number), fact(f"{user} other", str(number), number)], None)
        if number == 749:
            await worker.erase(user)
    moved(worker, after)
    buffered = await after.logged_count()
    assert await followed(worker) == 1501
    assert [len(await items(after, name)) for name in (user, f"{user} other")] == [200, 200]
    assert (await items(after, user))[0] == ("1300", 1_300_000_000)
    assert await after.logged_count() - buffered == 2 + 1 + 2
