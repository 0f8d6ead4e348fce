"""Runbooks for the service: another bundle and back, another version, another API key."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from asking import ask_once
from chaos_service import made_key
from crowd import Crowd
from harm import Harm, Metrics, Scene, port_of
from proxy import Proxy
from serving import call
from serving_speed import Running

from service.bundle.files import find_bundles

PRE_STOP = 5  # seconds, as deploy/k8s has it
IN_A_ROW = 30  # answers on new connections, which the kernel spreads over the workers
MOVING = 1.0  # seconds in which every client takes the new key
OK, UNAUTHORIZED = 200, 401


async def bundles(scene: Scene) -> Metrics:
    """Activate the older of two, then roll back."""
    newest, other = (path.name for path in find_bundles(scene.bundles))
    with scene.redis() as redis:
        async with scene.service(redis.url) as server:
            crowd = scene.crowd(server)
            harm = Harm(crowd)
            async with harm.watched(), harm.lasting(0):
                activated = await _decided(server, crowd, f"{other}/activate", other)
                rolled_back = await _decided(server, crowd, "rollback", newest)
            return await harm.metrics() | {"activated, s": activated, "rolled back, s": rolled_back}


async def _decided(server: Running, crowd: Crowd, what: str, expected: str) -> float:
    """Seconds until nobody is answered by another bundle."""
    began = time.perf_counter()
    await asyncio.to_thread(call, f"{server.admin}/admin/bundles/{what}", {}, 60)
    while crowd.bundles != {expected}:
        crowd.bundles.clear()
        await asyncio.sleep(0.2)
    return time.perf_counter() - began


async def replaced(scene: Scene) -> Metrics:
    """A new replica, then the old one is told to stop: connections to come go to the new one, as a Service has it."""
    beside = replace(scene, folder=scene.folder / "new")
    beside.folder.mkdir()
    with scene.redis() as redis:
        async with scene.service(redis.url) as old, Proxy(port_of(old)) as balancer, AsyncExitStack() as started:
            harm = Harm(Crowd(balancer.port, scene.item_ids))
            async with harm.watched(), harm.lasting(0):
                new = await started.enter_async_context(beside.service(redis.url))
                ready = time.perf_counter() - harm.began
                balancer.target = port_of(new)
                await asyncio.sleep(PRE_STOP)
                stopped = await _stopped(old)
            return await harm.metrics() | {
                "the new one is ready, s": ready,
                "the old one ended after SIGTERM, s": stopped,
            }


async def _stopped(server: Running) -> float:
    """Seconds from SIGTERM to its end."""
    began = time.perf_counter()
    os.kill(server.pid, signal.SIGTERM)
    while os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        await asyncio.sleep(0.02)
    return time.perf_counter() - began


async def key_rotated(scene: Scene) -> Metrics:
    """A second key, clients that move to it, the first one withdrawn."""
    keys = scene.folder / "keys.json"
    old = made_key(keys, "shop")
    with scene.redis() as redis:
        async with scene.service(redis.url, "--keys", str(keys)) as server:
            crowd = scene.crowd(server, {"x-api-key": old})
            harm = Harm(crowd)
            async with harm.watched(), harm.lasting(0):
                new = made_key(keys, "shop-2")
                valid = await _until_all(lambda: _status(server, new), OK)
                crowd.headers = {"x-api-key": new}
                await asyncio.sleep(MOVING)
                _withdraw(keys, "shop")
                refused = await _until_all(lambda: _status(server, old), UNAUTHORIZED)
            return await harm.metrics() | {"the new key is valid, s": valid, "the old one is refused, s": refused}


async def _status(server: Running, key: str) -> int:
    return (await ask_once(port_of(server), "GET", "/v1/users/u0", headers={"x-api-key": key})).status


async def _until_all(ask: Callable[[], Awaitable[int]], wanted: int) -> float:
    """Seconds until it is answered so every time."""
    began = time.perf_counter()
    last, found = began, 0
    while found < IN_A_ROW:
        if await ask() == wanted:
            found += 1
        else:
            found, last = 0, time.perf_counter()
        await asyncio.sleep(0.01)
    return last - began


def _withdraw(keys: Path, name: str) -> None:
    """The file without that entry, in place at once."""
    aside = keys.with_suffix(".new")
    aside.write_text(json.dumps([entry for entry in json.loads(keys.read_text()) if entry["name"] != name]))
    aside.replace(keys)
