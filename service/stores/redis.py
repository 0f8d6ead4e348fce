"""Sequences in Redis (or any server of its protocol): one string a user, merged by one Lua script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from service.stores import packed
from service.stores.base import Document, EventStatus, Interaction, LogEntry, StoredEvent, StoreUnavailableError
from service.stores.breaker import CircuitBreaker

APPEND = (Path(__file__).parent / "append.lua").read_text(encoding="utf-8")
CHANGE_DOCUMENT = """
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'content', ARGV[3])
return 1
"""
SCANNED = 1000  # keys looked at a call
LOG, LOG_FIELD = "intently:log", b"e"
STATUSES = (EventStatus.ACCEPTED, EventStatus.DUPLICATE, EventStatus.LATE)
WRITE_SECONDS = 1.0  # an append may wait for the server's fsync
CONNECTIONS = 64  # at once; further calls wait for one within their own time
Answer = TypeVar("Answer")


class RedisStore:
    """Every call is bounded in time, name resolution included, and runs as a task of its own.

    A cancelled caller leaves its task to finish, so the connection is read to the end of the reply; a task that runs
    out of time drops its connection. Either way no connection carries one user's reply to another's question.
    An append that timed out may have been stored: sending it again is safe, the state is the same.
    """

    def __init__(self, url: str, *, stored_events: int, timeout: float, breaker: CircuitBreaker | None = None) -> None:
        """`timeout`: seconds a read may take. Connects on the first call; belongs to the event loop of that call."""
        self._limit = stored_events
        self._timeout = timeout
        self._breaker = breaker or CircuitBreaker()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._redis: Redis = Redis.from_url(
            url,
            protocol=2,
            max_connections=2 * CONNECTIONS,  # never reached: `_free` makes callers wait instead of failing them
            socket_timeout=WRITE_SECONDS,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),  # once, for a connection that died while it was idle
            health_check_interval=0,
        )
        self._script = self._redis.register_script(APPEND)

    async def append(self, events: Sequence[StoredEvent], logged: bytes = b"") -> list[EventStatus]:
        """See SequenceStore. One round trip, the log first: a call that broke off is sent again, and logged again."""
        entries = [packed.pack([packed.entry(event)]) for event in events]
        places: dict[str, list[int]] = {}
        for place, event in enumerate(events):
            places.setdefault(event.user_id, []).append(place)
        arriving = {user_id: [entries[place] for place in its] for user_id, its in places.items()}
        if not arriving and not logged:
            return []
        answers = await self._bounded(lambda: self._append(arriving, logged), WRITE_SECONDS)
        statuses = [EventStatus.ACCEPTED] * len(events)
        for its, codes in zip(places.values(), answers, strict=True):
            for place, code in zip(its, codes, strict=True):
                statuses[place] = STATUSES[code]
        return statuses

    async def recent_many(self, user_ids: Sequence[str]) -> list[list[Interaction]]:
        """See SequenceStore. One MGET."""
        if not user_ids:
            return []
        keys = [_key(user_id) for user_id in user_ids]
        values: list[bytes | None] = await self._bounded(lambda: self._redis.mget(keys), self._timeout)
        return [packed.interactions(value, limit=self._limit) for value in values]

    async def erase(self, user_id: str, logged: bytes = b"") -> bool:
        """See SequenceStore."""
        return bool(await self._bounded(lambda: self._erase(user_id, logged), WRITE_SECONDS))

    async def everything(self) -> AsyncIterator[StoredEvent]:
        """See SequenceStore. What is written meanwhile may or may not be among it."""
        cursor = 0
        while True:
            cursor, keys = await self._bounded(lambda at=cursor: self._scan(at), WRITE_SECONDS)  # type: ignore[misc]
            values = await self._bounded(lambda its=keys: self._redis.mget(its), WRITE_SECONDS) if keys else []  # type: ignore[misc]
            for key, value in zip(keys, values, strict=True):
                for event in packed.events(_user_id(key), value or b""):
                    yield event
            if cursor == 0:
                return

    async def logged(self, limit: int) -> list[LogEntry]:
        """See SequenceStore."""
        found: list[Any] = await self._bounded(lambda: self._redis.xrange(LOG, count=limit), WRITE_SECONDS)
        return [LogEntry(entry_id.decode(), fields[LOG_FIELD]) for entry_id, fields in found]

    async def drop_logged(self, entry_ids: Sequence[str]) -> None:
        """See SequenceStore."""
        if entry_ids:
            await self._bounded(lambda: self._redis.xdel(LOG, *entry_ids), WRITE_SECONDS)

    async def logged_count(self) -> int:
        """See SequenceStore."""
        return int(await self._bounded(lambda: self._redis.xlen(LOG), self._timeout))

    async def document(self, name: str, *, unless: int | None = None) -> Document | None:
        """See SequenceStore."""
        document: Document | None = await self._bounded(lambda: self._document(name, unless), self._timeout)
        return document

    async def change_document(self, name: str, expected: int, document: Document) -> bool:
        """See SequenceStore. One script, so that nobody can write in between."""
        words = (CHANGE_DOCUMENT, 1, _shared(name), expected, document.version, document.content)
        return bool(await self._bounded(lambda: self._redis.eval(*words), WRITE_SECONDS))

    async def ping(self) -> None:
        """See SequenceStore."""
        await self._bounded(lambda: self._redis.ping(), self._timeout)

    async def close(self) -> None:
        """See SequenceStore."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._redis.aclose()

    async def _document(self, name: str, unless: int | None) -> Document | None:
        if int(await self._redis.hget(_shared(name), "version") or 0) == unless:
            return None
        found: list[Any] = await self._redis.hmget(_shared(name), ["version", "content"])  # bytes, or None
        return Document(int(found[0] or 0), found[1] or b"")

    async def _append(self, arriving: dict[str, list[bytes]], logged: bytes) -> list[list[int]]:
        try:
            return await self._send(arriving, logged)
        except NoScriptError:  # a restarted server has forgotten the script; what is logged is there already
            await self._redis.script_load(APPEND)
            return await self._send(arriving, b"")

    async def _send(self, arriving: dict[str, list[bytes]], logged: bytes) -> list[list[int]]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            if logged:
                pipeline.xadd(LOG, {LOG_FIELD: logged})
            for user_id, entries in arriving.items():
                pipeline.evalsha(self._script.sha, 1, _key(user_id), self._limit, *entries)
            answers: list[Any] = await pipeline.execute()
        return answers[bool(logged) :]

    async def _scan(self, cursor: int) -> tuple[int, list[bytes]]:
        found: Any = await self._redis.scan(cursor, match=_key("*"), count=SCANNED)
        return int(found[0]), found[1]

    async def _erase(self, user_id: str, logged: bytes) -> int:
        async with self._redis.pipeline(transaction=False) as pipeline:
            if logged:
                pipeline.xadd(LOG, {LOG_FIELD: logged})
            pipeline.delete(_key(user_id))
            answers: list[Any] = await pipeline.execute()
        return int(answers[-1])

    async def _bounded(self, call: Callable[[], Awaitable[Any]], seconds: float) -> Any:
        if not self._breaker.admits():
            raise StoreUnavailableError("redis: not asked, because the last calls failed")
        task = asyncio.create_task(self._attempt(call, seconds))
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def _attempt(self, call: Callable[[], Awaitable[Answer]], seconds: float) -> Answer:
        try:
            async with asyncio.timeout(seconds), self._free:
                answer = await call()
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed()
            raise StoreUnavailableError(f"redis: {type(error).__name__}: {error}") from error
        self._breaker.succeeded()
        return answer

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, so that nobody warns that it was never retrieved


def _key(user_id: str) -> str:
    """The braces keep all keys of a user on one node of a Redis Cluster."""
    return f"intently:{{{user_id}}}:s"


def _user_id(key: bytes) -> str:
    beginning, end = _key("\0").encode().split(b"\0")
    return key.removeprefix(beginning).removesuffix(end).decode()


def _shared(name: str) -> str:
    return f"intently:shared:{name}"
