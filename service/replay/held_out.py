"""What is replayed: each user's held-out interactions in their order, and when they arrive."""

from itertools import pairwise
from math import floor
from pathlib import Path
from typing import NamedTuple

import duckdb

from service.experiments.declarations import DAY_SECONDS
from service.log_tables import read_log, rejected_rows
from service.replay.chances import chances
from service.timestamps import MICROSECONDS


class Step(NamedTuple):
    """An item that a user goes for, and when (Unix seconds, in whole microseconds)."""

    position: int  # among the user's held-out interactions, from 0
    item_id: str
    timestamp: float


class Span(NamedTuple):
    """The days that are replayed, from `start` (Unix seconds) on."""

    start: float
    days: int

    @property
    def end(self) -> float:
        """When the last day is over."""
        return self.start + self.days * DAY_SECONDS

    def day(self, timestamp: float) -> int:
        """1 for the first."""
        return int((timestamp - self.start) // DAY_SECONDS) + 1


def days_before(moment: float, days: int, attribution: float) -> Span:
    """The last so many days (UTC) of which every outcome is known at that moment."""
    end = floor((moment - attribution) / DAY_SECONDS) * DAY_SECONDS
    return Span(end - days * DAY_SECONDS, days)


def simulated(log: Path, span: Span, seed: int) -> dict[str, list[Step]]:
    """The steps of every user of a log (as `load` takes it); arrivals are uniform over the days. Raises ValueError."""
    steps = {}
    for user_id, items, _ in _users(log):
        drawn = sorted(chances(seed, user_id, position).arrival for position in range(len(items)))
        times = [_whole(span.start + share * (span.end - span.start)) for share in drawn]
        steps[user_id] = [Step(number, *one) for number, one in enumerate(zip(items, times, strict=True))]
    return steps


def as_logged(log: Path, days: int) -> tuple[Span, dict[str, list[Step]]]:
    """The steps of every user at the log's own times. Raises ValueError for more days, and times that do not rise."""
    users = [(user_id, items, [_whole(one) for one in seconds]) for user_id, items, seconds in _users(log)]
    span = Span(min(times[0] for _, _, times in users), days)
    if max(times[-1] for _, _, times in users) >= span.end:
        raise ValueError(f"{log.name} covers more than the {days} days of the experiment: simulate the times")
    for user_id, _, times in users:
        if any(one >= other for one, other in pairwise(times)):
            raise ValueError(f"{log.name}: the times of {user_id!r} must rise, for what happens at once has no order")
    return span, {
        user_id: [Step(number, *one) for number, one in enumerate(zip(items, times, strict=True))]
        for user_id, items, times in users
    }


def _users(log: Path) -> list[tuple[str, list[str], list[float]]]:
    """user_id, item ids and times, oldest first."""
    with duckdb.connect() as connection:
        read_log(connection, log)
        if rejected := rejected_rows(connection):
            line, reason = rejected[0]
            raise ValueError(f"{log.name} has {len(rejected)} bad rows, the first on line {line}: {reason}")
        users = connection.execute(
            "SELECT user_id, list(item_id ORDER BY seconds, row), list(seconds ORDER BY seconds, row) FROM events "
            "GROUP BY user_id ORDER BY user_id"
        ).fetchall()
    if not users:
        raise ValueError(f"{log.name} holds nothing to replay")
    return users


def _whole(seconds: float) -> float:
    """As the service keeps it."""
    return round(seconds * MICROSECONDS) / MICROSECONDS
