"""Sequences in Redis (or any server of its protocol): one string a user, merged by one Lua script."""

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from service.stores import packed
from service.stores.base import EventStatus, Interaction, StoredEvent, StoreUnavailableError
from service.stores.breaker import CircuitBreaker

APPEND = (Path(__file__).parent / "append.lua").read_text()
STATUSES = (EventStatus.ACCEPTED, EventStatus.DUPLICATE, EventStatus.LATE)
WRITE_SECONDS = 1.0  # an append may wait for the server's fsync
NEVER = 0  # sequences do not expire
Answer = TypeVar("Answer")


class RedisStore:
    """Every call is bounded in time, name resolution included, and runs as a task of its own.

    A caller that is cancelled leaves the task to finish: a half-read connection can never serve another user.
    """

    def __init__(self, url: str, *, stored_events: int, timeout: float) -> None:
        """`timeout`: seconds a read may take."""
        self._limit = stored_events
        self._timeout = timeout
        self._breaker = CircuitBreaker()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._redis = Redis.from_url(
            url,
            socket_timeout=WRITE_SECONDS,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),
            health_check_interval=0,
        )
        self._script = self._redis.register_script(APPEND)

    async def append(self, events: Sequence[StoredEvent]) -> list[EventStatus]:
        """See SequenceStore. One round trip."""
        places: dict[str, list[int]] = {}
        for place, event in enumerate(events):
            places.setdefault(event.user_id, []).append(place)
        answers = await self._bounded(self._append(events, places), WRITE_SECONDS)
        statuses = [EventStatus.ACCEPTED] * len(events)
        for its, codes in zip(places.values(), answers, strict=True):
            for place, code in zip(its, codes, strict=True):
                statuses[place] = STATUSES[code]
        return statuses

    async def recent_many(self, user_ids: Sequence[str]) -> list[list[Interaction]]:
        """See SequenceStore. One MGET."""
        if not user_ids:
            return []
        call: Awaitable[list[Any]] = self._redis.mget([_key(user_id) for user_id in user_ids])
        return [packed.interactions(value) for value in await self._bounded(call, self._timeout)]

    async def erase(self, user_id: str) -> bool:
        """See SequenceStore."""
        deleted: int = await self._bounded(self._redis.delete(_key(user_id)), WRITE_SECONDS)
        return deleted > 0

    async def ping(self) -> None:
        """See SequenceStore."""
        await self._bounded(self._redis.ping(), self._timeout)

    async def close(self) -> None:
        """See SequenceStore."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.aclose()

    async def _append(self, events: Sequence[StoredEvent], places: dict[str, list[int]]) -> list[list[int]]:
        try:
            return await self._send(events, places)
        except NoScriptError:  # a restarted server has forgotten the script
            await self._redis.script_load(APPEND)
            return await self._send(events, places)

    async def _send(self, events: Sequence[StoredEvent], places: dict[str, list[int]]) -> list[list[int]]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for user_id, its in places.items():
                records = [
                    packed.pack([(events[i].timestamp, events[i].event_key, events[i].item_id.encode())]) for i in its
                ]
                pipeline.evalsha(self._script.sha, 1, _key(user_id), self._limit, NEVER, *records)
            answers: list[list[int]] = await pipeline.execute()
        return answers

    async def _bounded(self, call: Awaitable[Answer], seconds: float) -> Answer:
        if not self._breaker.admits():
            _discard(call)
            raise StoreUnavailableError("redis: not asked, the last calls failed")
        task = asyncio.ensure_future(call)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        try:
            answer = await asyncio.wait_for(asyncio.shield(task), seconds)
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed()
            task.cancel()
            raise StoreUnavailableError(f"redis: {type(error).__name__}: {error}") from error
        self._breaker.succeeded()
        return answer

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, so that nobody warns that it was never retrieved


def _key(user_id: str) -> str:
    """The braces keep all keys of a user on one node of a Redis Cluster."""
    return f"intently:sequence:{{{user_id}}}"


def _discard(call: Awaitable[Any]) -> None:
    if asyncio.iscoroutine(call):
        call.close()
