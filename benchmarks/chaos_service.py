"""What is done to the service itself: a worker killed, damaged bundles, another time of day, clients that go away."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson
from crowd import ASK, LOOK_UP, POST, READ, Crowd
from harm import WORKERS, Harm, Metrics, Scene, SkippedError, listening, port_of, until
from redis_process import RedisProcess
from serving import BIN
from serving_speed import HERE, workers_of

from service.bundle.files import ENCODER, ITEM_INDEX, MANIFEST, find_bundles

DAY, OUTAGE = 86_400, 2.0  # seconds
CANCELLED, CANCELLING = 1000, 8  # requests, connections at once
RATE, TRIED = 40.0, 120.0  # requests a second that a key may ask, and that it asks


async def worker_killed(scene: Scene) -> Metrics:
    """SIGKILL to one of two."""
    with scene.redis() as redis:
        async with scene.service(redis.url) as server:
            crowd = scene.crowd(server)
            harm = Harm(crowd)
            async with harm.watched():
                async with harm.lasting(0):
                    os.kill(workers_of(server.pid)[0], signal.SIGKILL)
                    await until(lambda: listening(port_of(server)) < WORKERS)
                gone = time.perf_counter()  # a connection made before it may still have been put in its queue
                await until(lambda: listening(port_of(server)) == WORKERS)
                replaced = time.perf_counter() - harm.began
            later = [one for one in crowd.outcomes if one.began > gone and not one.was_open]
            unanswered = float(sum(one.status == 0 for one in later))
            return await harm.metrics() | {
                "two workers, s": replaced,
                "unanswered on connections made later": unanswered,
            }


async def damaged_bundles(scene: Scene) -> Metrics:
    """A byte flipped, a file cut short, no bundle at all: each newer than what is served."""
    with scene.redis() as redis:
        async with scene.service(redis.url) as server:
            crowd = scene.crowd(server)
            harm = Harm(crowd)
            async with harm.watched(), harm.lasting():
                served = find_bundles(scene.bundles)[0]
                for number, damage in enumerate((_flip, _cut, _no_bundle)):
                    _put_in_place(served, scene.folder, f"damaged{number}", damage)
                    await asyncio.sleep(2)
            refusals = scene.log.read_text().count("bundle refused: ")
            metrics = await harm.metrics()
            return metrics | {"bundles that answered": len(crowd.bundles), "refusals in the log": refusals}


async def clock_moved(scene: Scene) -> Metrics:
    """A day forward, then two back; in the past Redis stops for a while and a key asks more than it may."""
    if shutil.which("cc") is None:
        raise SkippedError("it takes a C compiler to move the clock of a process")
    library, offset = scene.folder / "moved_clock.so", scene.folder / "offset"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "moved_clock.c", "-ldl"], check=True)
    _move(offset, 0)
    moved = {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(offset)}
    keys = scene.folder / "keys.json"
    often, seldom = made_key(keys, "often"), made_key(keys, "seldom", "--rate", str(RATE))
    with scene.redis() as redis:
        async with scene.service(redis.url, "--keys", str(keys), **moved) as server:
            crowd = scene.crowd(server, {"x-api-key": often})
            limited = scene.crowd(server, {"x-api-key": seldom})
            return await _through_time(crowd, limited, redis, offset)


async def _through_time(crowd: Crowd, limited: Crowd, redis: RedisProcess, offset: Path) -> Metrics:
    harm, outage = Harm(crowd), Harm(crowd)
    granted, statuses = [await _granted(limited)], {}
    async with harm.watched():
        async with harm.lasting(0):
            for days in (1, -1):
                _move(offset, days * DAY)
                statuses[days] = await _statuses(crowd, [0, DAY / 2, -DAY - 60])
                granted.append(await _granted(limited))
            async with outage.lasting(OUTAGE):
                redis.stop()
            redis.go_on()
            await outage.healed()
        _move(offset, 0)
    documented = {1: ["accepted"] * 3, -1: ["future", "future", "accepted"]}
    return await harm.metrics() | {
        "breaker open, s": outage.opened(),
        "breaker closed, s": outage.recovered,
        "least granted, requests/s": min(granted),
        "most granted, requests/s": max(granted),
        "judged as documented": float(statuses == documented),
    }


async def cancelled(scene: Scene) -> Metrics:
    """Connections that close in the middle of a question or before its answer, at random moments."""
    with scene.redis() as redis:
        async with scene.service(redis.url) as server:
            crowd = scene.crowd(server)
            harm, moments = Harm(crowd), random.Random(2)
            async with harm.watched(), harm.lasting(0):
                for _ in range(CANCELLED // CANCELLING):
                    await asyncio.gather(*(_cancel(crowd, moments) for _ in range(CANCELLING)))
            return await harm.metrics() | {"cancelled": float(CANCELLED)}


async def _cancel(crowd: Crowd, moments: random.Random) -> None:
    connection = crowd.connection()
    method, path, body = crowd.question(moments.choice((ASK, POST, READ, LOOK_UP)), moments.choice(crowd.users))
    if body and moments.random() < 0.3:
        await connection.send(method, path, body, only=moments.randrange(len(body)))
    else:
        await connection.send(method, path, body)
    await asyncio.sleep(moments.uniform(0, 0.02))
    connection.close()


async def _granted(limited: Crowd) -> float:
    """Requests a second that the key is granted once its reserve is used up."""
    connection, statuses = limited.connection(), Counter[int]()
    question = limited.question(ASK, "u0")
    for seconds in (1.5, 2.0):
        statuses.clear()
        began = time.perf_counter()
        while (at := time.perf_counter()) < began + seconds:
            statuses[(await connection.ask(*question)).status] += 1
            await asyncio.sleep(max(0.0, 1 / TRIED - (time.perf_counter() - at)))
    connection.close()
    return statuses[200] / seconds


def made_key(keys: Path, name: str, *options: str) -> str:
    """A key that may read and post, as the command prints it."""
    command = [BIN / "intently-serve", "key", name, "--keys", keys, "--scope", "read", "--scope", "events", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


async def _statuses(crowd: Crowd, offsets: Iterable[float]) -> list[str]:
    """What becomes of events so many seconds from now, by this process' clock."""
    connection, user = crowd.connection(), crowd.users[0]
    events = [crowd.event(user) | {"timestamp": time.time() + offset} for offset in offsets]
    reply = await connection.ask("POST", "/v1/events", orjson.dumps({"events": events}))
    connection.close()
    return [result["status"] for result in orjson.loads(reply.body)["results"]]


def _move(offset: Path, seconds: int) -> None:
    """The service's clock goes so many seconds ahead of the true one, or behind; see moved_clock.c."""
    with offset.open("r+b" if offset.exists() else "wb") as file:
        file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


def _put_in_place(served: Path, folder: Path, name: str, damage: Callable[[Path], None]) -> None:
    """A copy with a name of its own, damaged aside, then renamed into the bundles: the newest of them."""
    aside = shutil.copytree(served, folder / name)
    damage(aside)
    os.utime(aside / MANIFEST)
    aside.rename(served.with_name(f"{name}-{served.name.rpartition('-')[2]}"))


def _flip(bundle: Path) -> None:
    content = bytearray((bundle / ITEM_INDEX).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / ITEM_INDEX).write_bytes(content)


def _cut(bundle: Path) -> None:
    os.truncate(bundle / ENCODER, (bundle / ENCODER).stat().st_size // 2)


def _no_bundle(bundle: Path) -> None:
    (bundle / MANIFEST).write_bytes(os.urandom(1000))
