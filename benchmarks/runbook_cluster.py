"""Runbooks for a Redis Cluster: moving to it, a primary more, a primary lost."""

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harm import Harm, Metrics, Scene
from redis_process import RedisProcess
from runbook_store import USERS, fill, load
from serving import BIN

NODE_TIMEOUT = 2000  # milliseconds after which a node counts as lost
LOST_SECONDS = 10.0
PRIMARIES = 3
ENABLED = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT))


async def moved(scene: Scene) -> Metrics:
    """From a single Redis, with the service stopped: made, filled, answered from."""
    with scene.redis() as redis, _nodes(scene.folder, 2 * PRIMARIES) as nodes:
        fill(scene.folder / "before", redis.url)
        began = time.perf_counter()
        _created(nodes)
        made = time.perf_counter() - began
        command = [BIN / "intently-serve", "migrate", redis.url, _url(nodes)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        copied = time.perf_counter() - began - made
        async with scene.service(_url(nodes)) as server:
            harm = Harm(scene.crowd(server))
            async with harm.watched(), harm.lasting(0):
                pass
            events = float(re.sub(r"\D", "", said))
            return await harm.metrics() | {"created, s": made, "copied, s": copied, "events copied": events}


async def grown(scene: Scene) -> Metrics:
    """A fourth primary takes a quarter of the slots, while they are read and written."""
    with _nodes(scene.folder, 2 * PRIMARIES + 1) as nodes:
        *old, new = nodes
        _created(old)
        fill(scene.folder / "before", _url(old))
        async with scene.service(_url(old)) as server:
            harm = Harm(scene.crowd(server))
            async with harm.watched(), harm.lasting(0):
                await asyncio.to_thread(_cluster, "add-node", _host(new), _host(old[0]))
                await asyncio.to_thread(_until_known, new, 2 * PRIMARIES + 1)
                began = time.perf_counter()
                await asyncio.to_thread(_cluster, "rebalance", _host(new), "--cluster-use-empty-masters")
                took = time.perf_counter() - began
            keys = float(_cli(new.port, "dbsize"))
            return await harm.metrics() | {"rebalanced, s": took, "keys there": keys, "users": float(USERS)}


async def primary_lost(scene: Scene) -> Metrics:
    """SIGKILL: its replica takes over after the node timeout; what it had not been told yet, the event log holds."""
    events = scene.folder / "events"
    with _nodes(scene.folder, 2 * PRIMARIES) as nodes:
        _created(nodes)
        options, variables = ("--events", str(events)), {"INTENTLY_EVENTS_SECONDS": "1"}
        async with scene.service(_url(nodes), *options, **variables) as server:
            crowd = scene.crowd(server)
            harm = Harm(crowd)
            async with harm.watched(), harm.lasting(LOST_SECONDS):
                nodes[0].kill()
            trouble = [one.ended for one in crowd.outcomes if not one.is_whole]
            metrics = await harm.metrics()
            await asyncio.sleep(2)  # the last events are in files
            await asyncio.to_thread(load, events, _url(nodes[1:]))
            return metrics | {
                "last trouble after, s": max(trouble, default=harm.began) - harm.began,
                "lost after loading the event log": float(await crowd.lost()),
            }


@contextmanager
def _nodes(folder: Path, count: int) -> Iterator[list[RedisProcess]]:
    with ExitStack() as stack:
        nodes = []
        for number in range(count):
            node = RedisProcess(folder / f"node{number}", durable=True, options=ENABLED)
            stack.callback(node.kill)
            node.start()
            nodes.append(node)
        yield nodes


def _created(nodes: list[RedisProcess]) -> None:
    """The first half are primaries, the others their replicas; returns when any primary could be lost."""
    _cluster("create", *map(_host, nodes), "--cluster-replicas", "1")
    for node in nodes:
        _until_known(node, len(nodes))


def _until_known(node: RedisProcess, count: int) -> None:
    """It sees so many nodes, and every slot served; as a replica it has what its primary has."""
    wanted = {"cluster_state:ok", f"cluster_known_nodes:{count}"}
    while not wanted <= set(_cli(node.port, "cluster", "info").split()):
        time.sleep(0.05)
    while "master_link_status:down" in _cli(node.port, "info", "replication"):
        time.sleep(0.05)


def _cluster(*words: str) -> str:
    return subprocess.run(
        ["redis-cli", "--cluster", *words, "--cluster-yes"], check=True, capture_output=True, text=True
    ).stdout


def _cli(port: int, *words: str) -> str:
    return subprocess.run(["redis-cli", "-p", str(port), *words], check=True, capture_output=True, text=True).stdout


def _host(node: RedisProcess) -> str:
    return f"127.0.0.1:{node.port}"


def _url(nodes: list[RedisProcess]) -> str:
    return "redis+cluster://" + ",".join(_host(node) for node in nodes[:PRIMARIES])
