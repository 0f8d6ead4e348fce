"""Long loops that leave the interpreter to the other threads."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

STRETCH = 0.0005  # seconds of work before a rest
Thing = TypeVar("Thing")
_thread = threading.local()


@contextmanager
def working(share: float) -> Iterator[None]:
    """In this thread, loops over `gently` work for that share of the time, 0 < share < 1, and rest for the others."""
    _thread.rest = 1 / share - 1
    try:
        yield
    finally:
        del _thread.rest


def gently(things: Iterable[Thing], *, at_once: int = 32) -> Iterable[Thing]:
    """The same things in their order; outside `working` without rests. `at_once`: between looks at the clock."""
    rest = getattr(_thread, "rest", None)
    return things if rest is None else _with_rests(things, rest, at_once)


def _with_rests(things: Iterable[Thing], rest: float, at_once: int) -> Iterator[Thing]:
    since = time.thread_time()
    for number, thing in enumerate(things):
        yield thing
        if number % at_once == 0 and (worked := time.thread_time() - since) > STRETCH:
            time.sleep(worked * rest)
            since = time.thread_time()
