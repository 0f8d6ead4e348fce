"""A service under load, harmed for a few seconds: what its users noticed."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles

from crowd import ASK, POST, Crowd, Outcome
from redis_process import RedisProcess
from serving_speed import OURS, Running, running

STEADY, HARMED, AFTER = 3.0, 5.0, 2.0  # seconds
STORE_TIMEOUT = 0.05  # seconds, as the service has it: an answer that is faster has not waited for the store
WORKERS = 2
LISTEN = "0A"  # in /proc/net/tcp
Metrics = dict[str, float]


class SkippedError(Exception):
    """This machine lacks what the case needs; the message says what."""


@dataclass(frozen=True)
class Scene:
    """Where a case takes place."""

    folder: Path  # empty
    bundles: Path
    item_ids: Sequence[str]

    @property
    def log(self) -> Path:
        """What the service says."""
        return self.folder / "service.log"

    @contextmanager
    def redis(self) -> Iterator[RedisProcess]:
        """One that keeps what it acknowledged."""
        redis = RedisProcess(self.folder / "redis", durable=True)
        redis.start()
        try:
            yield redis
        finally:
            redis.kill()

    @asynccontextmanager
    async def service(self, store: str, *options: str, **variables: str) -> AsyncIterator[Running]:
        """`intently-serve run` with two workers; this event loop goes on while it starts and ends."""
        row = replace(OURS, command=(*OURS.command, *options))
        places = {"small": str(self.bundles.absolute()), "redis": store}
        with ExitStack() as stack:
            started = running(row, places, variables, self.log)
            server = await asyncio.to_thread(stack.enter_context, started)
            await until(lambda: listening(port_of(server)) == WORKERS)
            try:
                yield server
            finally:
                await asyncio.to_thread(stack.close)

    def crowd(self, server: Running, headers: dict[str, str] | None = None) -> Crowd:
        """Who asks it."""
        return Crowd(port_of(server), self.item_ids, headers=headers)


def listening(port: int) -> int:
    """How many sockets listen there: one a worker."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == LISTEN for row in rows)


async def until(check: Callable[[], bool]) -> None:
    """Raises TimeoutError after a minute."""
    async with asyncio.timeout(60):
        while not check():
            await asyncio.sleep(0.02)


def port_of(server: Running) -> int:
    """Its public port."""
    return int(server.url.rpartition(":")[2])


@dataclass
class Harm:
    """When it began and ended (time.perf_counter), and what the crowd saw."""

    crowd: Crowd
    began: float = 0.0
    ended: float = 0.0
    recovered: float = 0.0  # seconds from the end until the last answer on every connection was whole

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """The crowd is at work, and after the block, when nothing is wrong any more, until it is answered as before."""
        async with self.crowd.at_work():
            yield
            await self.healed()

    @asynccontextmanager
    async def lasting(self, seconds: float = HARMED) -> AsyncIterator[None]:
        """The block harms; `seconds` later the next one heals."""
        await asyncio.sleep(STEADY)
        self.began = time.perf_counter()
        yield
        await asyncio.sleep(seconds)

    async def healed(self) -> None:
        """From now on nothing is wrong any more: wait until every connection is answered as before."""
        self.ended = time.perf_counter()
        await until(self._all_whole)
        self.recovered = time.perf_counter() - self.ended
        await asyncio.sleep(AFTER)

    async def metrics(self) -> Metrics:
        """After the crowd has gone home."""
        outcomes, asked = self.crowd.outcomes, [one for one in self.crowd.outcomes if one.kind == ASK]
        statuses = Counter(one.status for one in outcomes)
        its = {
            "requests": len(outcomes),
            "unanswered": statuses[0],
            "503": statuses[503],
            "posts refused": sum(one.kind == POST and one.status not in (0, 200) for one in outcomes),
            "other statuses": sum(statuses.values()) - statuses[0] - statuses[200] - statuses[503],
            "degraded": sum(one.degraded for one in outcomes),
            "p99 before, ms": p99([one for one in asked if one.ended < self.began]),
            "p99 harmed, ms": p99([one for one in asked if self.began <= one.began < self.ended]),
            "slowest, ms": max(one.seconds for one in outcomes if one.ended >= self.began) * 1e3,
            "recovered, s": self.recovered,
            "accepted": sum(map(len, self.crowd.accepted.values())),
            "lost": await self.crowd.lost(),
            "foreign ids": self.crowd.foreign,
        }
        return {name: float(value) for name, value in its.items()}

    def opened(self) -> float:
        """Seconds until an answer on every connection no longer waited for the store: the breaker is open."""
        first: dict[int, float] = {}
        for one in self.crowd.outcomes:
            if one.degraded and one.began >= self.began and one.seconds < STORE_TIMEOUT:
                first.setdefault(one.connection, one.ended - self.began)
        return max(first.values())

    def _all_whole(self) -> bool:
        since = (one for one in self.crowd.outcomes[-1000:] if one.began >= self.ended)
        newest = {one.connection: one for one in since}
        return len(newest) == self.crowd.connections and all(one.is_whole for one in newest.values())


async def harmed(crowd: Crowd, hurt: Callable[[], object], heal: Callable[[], object]) -> Metrics:
    """What a harm of some seconds does whose end can be told; both are called in a thread."""
    harm = Harm(crowd)
    async with harm.watched():
        async with harm.lasting():
            await asyncio.to_thread(hurt)
        await asyncio.to_thread(heal)
    return await harm.metrics() | {"breaker open, s": harm.opened()}


def p99(outcomes: Sequence[Outcome]) -> float:
    """In milliseconds; 0 for too few to tell."""
    if len(outcomes) < 100:
        return 0.0
    return quantiles([one.seconds for one in outcomes], n=100)[98] * 1e3
