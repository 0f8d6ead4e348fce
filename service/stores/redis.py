"""Sequences in Redis (or any server of its protocol): one string a user, merged by one Lua script."""

import asyncio
import functools
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from service.stores import packed
from service.stores.base import Document, EventStatus, Interaction, LogEntry, StoredEvent, StoreUnavailableError
from service.stores.breaker import CircuitBreaker
from service.stores.redis_client import answer_seconds

APPEND = (Path(__file__).parent / "append.lua").read_text(encoding="utf-8")
APPEND_DIGEST = hashlib.sha1(APPEND.encode(), usedforsecurity=False).hexdigest()  # the name the server gives it
CHANGE_DOCUMENT = """#!lua flags=allow-oom
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'content', ARGV[3])
return 1
"""
# With allow-oom, for a full server is emptied by who has the event log's lease, which is a document too.
SAMPLES = 100  # blocks of the stream, to tell its size from
SCANNED = 1000  # keys looked at a call
SCAN_SECONDS = 60.0  # for that many of ours among any number of others
LOG, LOG_FIELD = "intently:log", b"e"
STATUSES = (EventStatus.ACCEPTED, EventStatus.DUPLICATE, EventStatus.LATE)
CALLS = 16  # at once, so that few TLS handshakes begin together; further ones wait within their own time
DAY_MILLISECONDS = 86_400_000
FAILURES = (RedisError, RedisClusterException, OSError)  # the second, when no node is reached, is not the first
Answer = TypeVar("Answer")


class RedisStore:
    """Every call is bounded in time, name resolution included, and runs as a task of its own.

    A cancelled caller leaves its task to finish, so the connection is read to the end of the reply; a task that runs
    out of time drops its connection. Either way no connection carries one user's reply to another's question.
    An append that timed out may have been stored: sending it again is safe, the state is the same.

    While calls fail, the client starts again beside them: it drops its connections and finds a cluster's nodes anew.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        stored_events: int,
        timeout: float,
        stored_days: float | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        """`timeout`: seconds a read may take. Connects on the first call; belongs to the event loop of that call."""
        self._redis: Any = client  # redis-py's types promise two kinds of answers
        self._is_cluster = isinstance(client, RedisCluster)
        self._mget = client.mget_nonatomic if isinstance(client, RedisCluster) else client.mget
        self._limit = stored_events
        self._milliseconds = 0 if stored_days is None else round(stored_days * DAY_MILLISECONDS)
        self._timeout = timeout
        self._write_timeout = answer_seconds(timeout)
        self._breaker = breaker or CircuitBreaker()
        self._patient_breaker = CircuitBreaker()  # of calls that may take longer: they succeed where reads time out
        self._tasks: set[asyncio.Task[Any]] = set()
        self._free = asyncio.Semaphore(CALLS)
        self._starting: asyncio.Task[None] | None = None

    async def append(self, events: Sequence[StoredEvent], logged: bytes = b"") -> list[EventStatus]:
        """See SequenceStore. One round trip (to each node of a cluster at once)."""
        entries = [packed.pack([packed.entry(event)]) for event in events]
        places: dict[str, list[int]] = {}
        for place, event in enumerate(events):
            places.setdefault(event.user_id, []).append(place)
        arriving = {user_id: [entries[place] for place in its] for user_id, its in places.items()}
        if not arriving and not logged:
            return []
        answers = await self._bounded(lambda: self._append(arriving, logged), self._write_timeout)
        statuses = [EventStatus.ACCEPTED] * len(events)
        for its, codes in zip(places.values(), answers, strict=True):
            for place, code in zip(its, codes, strict=True):
                statuses[place] = STATUSES[code]
        return statuses

    async def recent_many(self, user_ids: Sequence[str]) -> list[list[Interaction]]:
        """See SequenceStore. One round trip, as in `append`."""
        if not user_ids:
            return []
        keys = [_key(user_id) for user_id in user_ids]
        values: list[bytes | None] = await self._bounded(lambda: self._mget(keys), self._timeout)
        return [packed.interactions(value, limit=self._limit) for value in values]

    async def erase(self, user_id: str, logged: bytes = b"") -> bool:
        """See SequenceStore."""
        return bool(await self._bounded(lambda: self._erase(user_id, logged), self._write_timeout))

    async def everything(self) -> AsyncGenerator[StoredEvent, None]:
        """See SequenceStore. What is written meanwhile may or may not be among it."""
        scan = self._redis.scan_iter(match=_key("*"), count=SCANNED)
        while keys := await self._bounded(lambda: _some(scan), SCAN_SECONDS):
            values = await self._bounded(lambda its=keys: self._mget(its), self._write_timeout)  # type: ignore[misc]
            for key, value in zip(keys, values, strict=True):
                for event in packed.events(_user_id(key), value or b""):
                    yield event

    async def logged(self, limit: int, after: str | None = None) -> list[LogEntry]:
        """See SequenceStore."""
        beginning = "-" if after is None else f"({after}"
        call = functools.partial(self._redis.xrange, LOG, min=beginning, count=limit)
        found: list[Any] = await self._bounded(call, self._write_timeout)
        return [LogEntry(entry_id.decode(), fields[LOG_FIELD]) for entry_id, fields in found]

    async def drop_logged(self, entry_ids: Sequence[str]) -> None:
        """See SequenceStore."""
        if entry_ids:
            await self._bounded(lambda: self._redis.xdel(LOG, *entry_ids), self._write_timeout)

    async def logged_count(self) -> int:
        """See SequenceStore."""
        return int(await self._bounded(lambda: self._redis.xlen(LOG), self._timeout))

    async def logged_bytes(self) -> int:
        """See SequenceStore."""
        if not await self.logged_count():
            return 0
        return int(await self._bounded(lambda: self._redis.memory_usage(LOG, samples=SAMPLES), self._timeout) or 0)

    async def document(self, name: str, *, unless: int | None = None) -> Document | None:
        """See SequenceStore."""
        document: Document | None = await self._bounded(lambda: self._document(name, unless), self._timeout)
        return document

    async def change_document(self, name: str, expected: int, document: Document) -> bool:
        """See SequenceStore. One script, so that nobody can write in between."""
        words = (CHANGE_DOCUMENT, 1, _shared(name), expected, document.version, document.content)
        return bool(await self._bounded(lambda: self._redis.eval(*words), self._write_timeout))

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
        calls = [(1, _key(user_id), self._limit, self._milliseconds, *its) for user_id, its in arriving.items()]
        answers = await self._written([("EVALSHA", APPEND_DIGEST, *call) for call in calls], logged)
        forgotten = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if forgotten:  # by a restarted server; what is logged is there already
            again = await self._written([("EVAL", APPEND, *calls[place]) for place in forgotten], b"")
            for place, answer in zip(forgotten, again, strict=True):
                answers[place] = answer
        return answers

    async def _erase(self, user_id: str, logged: bytes) -> int:
        [erased] = await self._written([("DEL", _key(user_id))], logged)
        return int(erased)

    async def _written(self, commands: list[tuple[Any, ...]], logged: bytes) -> list[Any]:
        """An answer to each command, which may be that the script is not known."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            if logged:
                pipeline.xadd(LOG, {LOG_FIELD: logged})
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not isinstance(answer, NoScriptError):
                raise answer
        return answers[bool(logged) :]

    async def _bounded(self, call: Callable[[], Awaitable[Any]], seconds: float) -> Any:
        breaker = self._breaker if seconds <= self._timeout else self._patient_breaker
        if not breaker.admits():
            raise StoreUnavailableError("redis: not asked, because the last calls failed")
        return await asyncio.shield(self._task(self._attempt(call, seconds, breaker)))

    async def _attempt(self, call: Callable[[], Awaitable[Answer]], seconds: float, breaker: CircuitBreaker) -> Answer:
        try:
            async with asyncio.timeout(seconds), self._free:
                await self._started()
                answer = await call()
        except (*FAILURES, TimeoutError) as error:
            breaker.failed()
            is_alone = len(self._tasks) == 1  # else what others wait for would be dropped
            if breaker.is_open and is_alone and self._starting is not None and self._starting.done():
                self._starting = self._task(self._start())
            raise StoreUnavailableError(f"redis: {type(error).__name__}: {error}") from error
        breaker.succeeded()
        return answer

    async def _started(self) -> None:
        """Finding the nodes of a cluster may take longer than a call has: it goes on when the call is over."""
        starting = self._starting
        if starting is None or (starting.done() and (starting.cancelled() or starting.exception())):
            starting = self._starting = self._task(self._start())
        await asyncio.shield(starting)

    async def _start(self) -> None:
        with suppress(*FAILURES):
            await self._redis.aclose()
        await self._redis.initialize()

    def _task(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, so that nobody warns that it was never retrieved


async def _some(keys: AsyncIterator[bytes]) -> list[bytes]:
    """The next `SCANNED` keys."""
    found: list[bytes] = []
    async for key in keys:
        found.append(key)
        if len(found) == SCANNED:
            break
    return found


def _key(user_id: str) -> str:
    """The braces keep all keys of a user on one node of a Redis Cluster."""
    return f"intently:{{{user_id}}}:s"


def _user_id(key: bytes) -> str:
    beginning, end = _key("\0").encode().split(b"\0")
    return key.removeprefix(beginning).removesuffix(end).decode()


def _shared(name: str) -> str:
    return f"intently:shared:{name}"
