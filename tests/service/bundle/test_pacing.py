"""Loops that rest while others want the interpreter."""

import pytest

from service.bundle import pacing
from service.bundle.pacing import gently, working


class Clock:
    """Each thing takes a tenth of a millisecond of work."""

    def __init__(self) -> None:
        self.worked = 0.0
        self.rests: list[float] = []

    def thread_time(self) -> float:
        return self.worked

    def sleep(self, seconds: float) -> None:
        self.rests.append(round(seconds, 9))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(pacing, "time", found)
    return found


def looped(clock: Clock, count: int) -> list[int]:
    found = []
    for thing in gently(range(count)):
        clock.worked += 1e-4
        found.append(thing)
    return found


def test_a_fifth_of_the_time_is_four_times_as_much_rest_as_work(clock: Clock) -> None:
    """The clock is looked at after things 1, 33 and 65: 33 x .1 ms of work, then 32 x .1 ms."""
    with working(0.2):
        assert looped(clock, 70) == list(range(70))
    assert clock.rests == [0.0132, 0.0128]


def test_without_being_told_nothing_rests(clock: Clock) -> None:
    with working(0.5):
        pass
    assert looped(clock, 1000) == list(range(1000))
    assert clock.rests == []


def test_what_is_short_does_not_rest(clock: Clock) -> None:
    with working(0.2):
        assert looped(clock, 5) == list(range(5))
    assert clock.rests == []
