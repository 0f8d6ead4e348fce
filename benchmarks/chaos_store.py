"""What is done to the store: Redis killed, stopped, cut off, slowed, emptied; a full disk under SQLite."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from harm import Harm, Metrics, Scene, SkippedError, harmed
from proxy import Proxy
from redis import Redis
from redis_process import RedisProcess
from serving import BIN

FLUSH = 1.0  # seconds between writes of the event log
DISK = 4 << 20  # bytes


async def killed(scene: Scene) -> Metrics:
    """SIGKILL, and a start on the append-only file."""
    return await _by_redis(scene, lambda redis: redis.kill, lambda redis: redis.start)


async def stopped(scene: Scene) -> Metrics:
    """SIGSTOP: connections stay open, nothing is answered, new connections hang."""
    return await _by_redis(scene, lambda redis: redis.stop, lambda redis: redis.go_on)


async def cut_off(scene: Scene) -> Metrics:
    """Every byte is swallowed on the way, there and back."""
    return await _by_proxy(scene, swallowing=True)


async def slowed(scene: Scene) -> Metrics:
    """Each reply comes 200 ms late."""
    return await _by_proxy(scene, delay=0.2)


async def emptied(scene: Scene) -> Metrics:
    """Everything is gone, after the event log had been written; then `intently-serve load` brings it back."""
    return await _emptied(scene, while_posting=False)


async def emptied_while_posting(scene: Scene) -> Metrics:
    """Everything is gone, and with it what no file held yet."""
    return await _emptied(scene, while_posting=True)


async def disk_full(scene: Scene) -> Metrics:
    """Not a byte is left where SQLite writes, then there is room again."""
    if os.geteuid() != 0:
        raise SkippedError("it takes root to mount a small file system")
    with _small_disk(scene.folder / "disk") as disk:
        async with scene.service(f"sqlite:///{disk}/store.sqlite3") as server:
            harm, filler = Harm(scene.crowd(server)), disk / "filler"
            async with harm.watched():
                async with harm.lasting():
                    _fill(filler)
                filler.unlink()
            return await harm.metrics()


async def _by_redis(
    scene: Scene,
    hurt: Callable[[RedisProcess], Callable[[], None]],
    heal: Callable[[RedisProcess], Callable[[], None]],
) -> Metrics:
    with scene.redis() as redis:
        async with scene.service(redis.url) as server:
            return await harmed(scene.crowd(server), hurt(redis), heal(redis))


async def _by_proxy(scene: Scene, *, swallowing: bool = False, delay: float = 0.0) -> Metrics:
    with scene.redis() as redis:
        async with Proxy(redis.port) as proxy, scene.service(f"redis://127.0.0.1:{proxy.port}/0") as server:

            def set_to(swallowing: bool, delay: float) -> None:
                proxy.swallowing, proxy.delay = swallowing, delay

            return await harmed(
                scene.crowd(server), partial(set_to, swallowing, delay), partial(set_to, swallowing=False, delay=0.0)
            )


async def _emptied(scene: Scene, *, while_posting: bool) -> Metrics:
    events = scene.folder / "events"
    with scene.redis() as redis:
        options, variables = ("--events", str(events)), {"INTENTLY_EVENTS_SECONDS": f"{FLUSH}"}
        async with scene.service(redis.url, *options, **variables) as server:
            crowd = scene.crowd(server)
            harm = Harm(crowd)
            async with harm.watched():
                await asyncio.sleep(3 * FLUSH)  # something is in files
                crowd.posting = while_posting
                if not while_posting:
                    await _flushed(redis)
                async with harm.lasting(1):
                    await asyncio.to_thread(lambda: (redis.kill(), redis.wipe(), redis.start()))
                await asyncio.to_thread(_load, events, redis.url)
            return await harm.metrics()


async def _flushed(redis: RedisProcess) -> None:
    """Every event is in files: nothing waits in the buffer, twice in a row."""
    with Redis.from_url(redis.url) as client:
        for _ in range(2):
            await asyncio.sleep(FLUSH)
            while client.xlen("intently:log"):
                await asyncio.sleep(0.05)


def _load(events: Path, store: str) -> None:
    subprocess.run([BIN / "intently-serve", "load", events, "--store", store], check=True, capture_output=True)


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=False)
    if mounted.returncode:
        raise SkippedError("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(path: Path) -> None:
    """To the last byte."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return
