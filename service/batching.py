"""Requests that arrive while the engine works are answered together."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, NamedTuple, TypeVar

from service.errors import OverloadedError
from service.telemetry import BATCH_SIZE, QUEUE_DEPTH, TIMINGS, Timing, stage_times

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class _Waiting(NamedTuple, Generic[Request, Answer]):
    request: Request
    answered: asyncio.Future[Answer]
    since: float
    timings: list[Timing] | None  # where it is traced


class MicroBatches(Generic[Request, Answer]):
    """Whatever is waiting when the last batch is done is the next batch: nobody waits for a timer.

    With one request at a time a batch is one request; under load batches grow and each request costs less. Beyond
    what can be answered in time requests are refused at once, so that the others keep being answered.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Request]], Awaitable[list[Answer]]],
        *,
        largest: int,
        queue_limit: int = 2048,
        deadline: float = 0.5,
    ) -> None:
        """`answer`: one answer a request, in order; what it raises, every request of the batch raises.

        At most `queue_limit` requests wait, none longer than `deadline` seconds.
        """
        self._answer = answer
        self._largest = largest
        self._queue_limit = queue_limit
        self.deadline = deadline
        self._waiting: deque[_Waiting[Request, Answer]] = deque()
        self._working: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether the next request would be refused."""
        return len(self._waiting) >= self._queue_limit

    async def ask(self, request: Request) -> Answer:
        """The answer to one request. Raises OverloadedError.

        A caller that is cancelled meanwhile does not disturb its neighbours.
        """
        if self.full:
            raise OverloadedError("too many requests are waiting")
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, answered, time.perf_counter(), TIMINGS.get()))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), context=Context())  # it works for all, not for this one
        return await answered

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._next_batch()
        finally:
            self._working = None

    async def _next_batch(self) -> None:
        QUEUE_DEPTH.set(len(self._waiting))
        batch = [one for one in self._taken() if not one.answered.done()]
        if not batch:
            return
        BATCH_SIZE.observe(len(batch))
        try:
            answers = await self._answered(batch)
        except Exception as error:
            for one in batch:
                _refuse(one, error)
            return
        for one, answer in zip(batch, answers, strict=True):
            if not one.answered.done():
                one.answered.set_result(answer)

    async def _answered(self, batch: Sequence[_Waiting[Request, Answer]]) -> list[Answer]:
        """What the batch takes, each of its requests took."""
        traced = [one.timings for one in batch if one.timings is not None]
        shared: list[Timing] = []
        TIMINGS.set(shared if traced else None)
        try:
            return await self._answer([one.request for one in batch])
        finally:
            for timings in traced:
                timings += shared

    def _taken(self) -> list[_Waiting[Request, Answer]]:
        """The oldest that can still be answered in time; those that cannot are told so."""
        taken: list[_Waiting[Request, Answer]] = []
        now = time.perf_counter()
        while self._waiting and len(taken) < self._largest:
            one = self._waiting.popleft()
            if now - one.since > self.deadline:
                _refuse(one, OverloadedError(f"not begun within {self.deadline} s"))
            else:
                taken.append(one)
                if one.timings is not None:
                    one.timings.append(Timing("queue", one.since, now))
        if taken:
            stage_times("queue").observe(now - taken[0].since)
        return taken


def _refuse(one: _Waiting[Request, Answer], error: Exception) -> None:
    if not one.answered.done():
        one.answered.set_exception(error)
