"""Requests that arrive while the engine works are answered together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class MicroBatches(Generic[Request, Answer]):
    """Whatever is waiting when the last batch is done is the next batch: nobody waits for a timer.

    With one request at a time a batch is one request; under load batches grow and each request costs less.
    """

    def __init__(self, answer: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]], *, largest: int) -> None:
        """`answer` gives one answer a request, in order; what it raises, every request of the batch raises."""
        self._answer = answer
        self._largest = largest
        self._waiting: deque[tuple[Request, asyncio.Future[Answer]]] = deque()
        self._working: asyncio.Task[None] | None = None

    async def ask(self, request: Request) -> Answer:
        """The answer to one request. A caller that is cancelled meanwhile does not disturb its neighbours."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answered))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await answered

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._next_batch()
        finally:
            self._working = None

    async def _next_batch(self) -> None:
        count = min(len(self._waiting), self._largest)
        batch = [self._waiting.popleft() for _ in range(count)]
        batch = [(request, answered) for request, answered in batch if not answered.done()]
        try:
            answers = await self._answer([request for request, _ in batch])
        except Exception as error:
            for _, answered in batch:
                if not answered.done():
                    answered.set_exception(error)
        else:
            for (_, answered), answer in zip(batch, answers, strict=True):
                if not answered.done():
                    answered.set_result(answer)
