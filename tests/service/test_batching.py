"""Whatever waits when the engine is done is the next batch."""

import asyncio
from collections.abc import Sequence

import pytest

from service.batching import MicroBatches
from service.errors import OverloadedError
from service.telemetry import TIMINGS, Stages, Timing


class Doubling:
    """Doubles numbers, one batch at a time, when it is let; refuses 13."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        await self.let.wait()
        if 13 in numbers:
            raise ValueError("13")
        return [2 * number for number in numbers]


async def asked(batches: MicroBatches[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batches.ask(number)) for number in numbers]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_requests_that_come_meanwhile_make_the_next_batch() -> None:
    work = Doubling()
    batches = MicroBatches(work, largest=3)
    first = await asked(batches, 1)
    later = await asked(batches, 2, 3, 4, 5)
    work.let.set()
    assert await asyncio.gather(*first, *later) == [2, 4, 6, 8, 10]
    assert work.batches == [[1], [2, 3, 4], [5]]
    assert await batches.ask(6) == 12, "it starts again after a rest"


async def test_an_error_is_told_to_the_batch_and_ends_there() -> None:
    work = Doubling()
    batches = MicroBatches(work, largest=2)
    tasks = await asked(batches, 13)
    tasks += await asked(batches, 1, 2)
    work.let.set()
    first, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, ValueError)
    assert others == [2, 4]
    with pytest.raises(ValueError, match="13"):
        await batches.ask(13)
    assert await batches.ask(5) == 10


async def test_a_caller_that_goes_away_leaves_the_others_their_answers() -> None:
    work = Doubling()
    batches = MicroBatches(work, largest=8)
    [running] = await asked(batches, 1)
    waiting = await asked(batches, 2, 3)
    running.cancel()
    waiting[0].cancel()
    await asyncio.sleep(0)
    work.let.set()
    assert await waiting[1] == 6
    assert work.batches[-1] == [3], "what nobody waits for is not worked on"


async def test_a_full_queue_refuses_at_once_and_answers_those_it_took() -> None:
    work = Doubling()
    batches = MicroBatches(work, largest=2, queue_limit=2)
    working = await asked(batches, 1)
    waiting = await asked(batches, 2, 3)
    with pytest.raises(OverloadedError, match="too many"):
        await batches.ask(4)
    work.let.set()
    assert await asyncio.gather(*working, *waiting) == [2, 4, 6]


async def test_nobody_is_answered_after_the_deadline() -> None:
    """The second waits .1 s behind the first, may wait .05 s, and is not worked on; the third comes in time."""
    work = Doubling()
    batches = MicroBatches(work, largest=2, deadline=0.05)
    [first] = await asked(batches, 1)
    [second] = await asked(batches, 2)
    await asyncio.sleep(0.1)
    [third] = await asked(batches, 3)
    work.let.set()
    assert (await first, await third) == (2, 6)
    with pytest.raises(OverloadedError, match=r"not begun within 0\.05 s"):
        await second
    assert work.batches == [[1], [3]]


async def test_a_traced_request_is_told_what_its_batch_took() -> None:
    """Its own time in the queue and the stages of the whole batch; who is not traced is told nothing."""
    let = asyncio.Event()

    async def answer(numbers: Sequence[int]) -> list[int]:
        with Stages(observed=False).measure("encode"):
            await let.wait()
        return list(numbers)

    batches = MicroBatches(answer, largest=8)

    async def ask(number: int, timings: list[Timing] | None) -> None:
        TIMINGS.set(timings)
        await batches.ask(number)

    first, second = list[Timing](), list[Timing]()
    tasks = [asyncio.create_task(ask(number, its)) for number, its in enumerate((None, first, None, second))]
    await asyncio.sleep(0)
    let.set()
    await asyncio.gather(*tasks)
    assert [its.stage for its in first] == [its.stage for its in second] == ["queue", "encode"]
    assert first[1] == second[1]
    assert first[0].started < second[0].started <= second[0].ended == first[0].ended <= first[1].started
