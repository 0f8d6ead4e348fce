"""Many users at once: what one of them does is done in order, in one of many threads that share a client."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

CONNECTIONS = 16
Job = TypeVar("Job")
Done = TypeVar("Done")


def at_once(work: Callable[[Job], Done], jobs: Iterable[Job], connections: int = CONNECTIONS) -> Iterator[Done]:
    """What becomes of each job, in their order; the first that fails ends it, with its error."""
    executor = ThreadPoolExecutor(connections)
    try:
        yield from executor.map(work, jobs)
    finally:
        executor.shutdown(cancel_futures=True)
