"""Tables -> Moments: of days 1 to each day, and of each day alone.

Days 1 to d: a user's running totals T change on each day the user comes, and the sum of T T' over users by
T T' - (T before) (T before)'. Added up over days these are the moments of days 1 to d, and nobody is visited twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from service.experiments.report.files import Connection
from service.experiments.statistics.metrics import Metric, before
from service.experiments.statistics.moments import Days, Floats, Moments, Part

ANY, PAST = "any_", before("")


@dataclass(frozen=True)
class Sums:
    """Moments of some days, by part."""

    columns: tuple[str, ...]
    days: Days
    parts: dict[Part, Moments]

    def of(self, variant: str, group: str | None = None) -> Moments:
        """A variant's users, of one group or of all; there may be none."""
        nobody = np.zeros(len(self.columns)), np.zeros((len(self.columns), len(self.columns)))
        whole = Moments(self.days, frozenset([Part(variant, "")]), self.columns, 0, *nobody)
        for part, moments in self.parts.items():
            if part.variant == variant and group in (None, part.group):
                whole = whole + moments
        return whole


def columns_of(metrics: Iterable[Metric], *, cuped: bool) -> tuple[str, ...]:
    """What the moments of these metrics need."""
    needed = (column for one in metrics for column in one.columns + (one.covariates if cuped else ()))
    return tuple(dict.fromkeys(needed))


def through(
    connection: Connection, columns: tuple[str, ...], last: int, *, happened: float | None = None
) -> list[Sums]:
    """Of days 1 to 1, 1 to 2, ..., 1 to `last`; with `happened` of what had happened by then."""
    names = stored(columns)
    to_now = ", ".join(f"sum({one}) OVER until_now AS {one}" for one in names)
    until_then = ", ".join(f"sum({one}) OVER until_then AS {one}_then" for one in names)
    sums = ", ".join(f"sum({one}) AS {one}" for one in names)
    by_then = f"(SELECT number, day, {sums} FROM facts WHERE happened <= {happened} GROUP BY number, day)"
    rows = (
        f"SELECT number, day, count(*) OVER until_now = 1 AS enters, {to_now}, {until_then} "
        f"FROM {'daily' if happened is None else by_then} WHERE day <= $last "
        "WINDOW until_now AS (PARTITION BY number ORDER BY day), until_then AS (PARTITION BY number ORDER BY day "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    )
    changes = [f"CASE WHEN enters THEN 0 ELSE {sql_value(one, '_then')} END" for one in columns]
    found = _summed(connection, rows, columns, changes, last)
    whole = {part: array.cumsum(axis=0) for part, array in found.items()}
    return [_sums(columns, Days(1, day), whole) for day in range(1, last + 1)]


def alone(connection: Connection, columns: tuple[str, ...], last: int) -> list[Sums]:
    """Of day 1, day 2, ..., day `last`."""
    rows = f"SELECT number, day, true AS enters, {', '.join(stored(columns))} FROM daily WHERE day <= $last"
    found = _summed(connection, rows, columns, ["0"] * len(columns), last)
    return [_sums(columns, Days(day, day), found) for day in range(1, last + 1)]


def _summed(
    connection: Connection, rows: str, columns: tuple[str, ...], then: list[str], last: int
) -> dict[Part, Floats]:
    """By part and day (D, 1 + C + pairs): users who enter, and by how much sums and products of columns change."""
    pairs = list(combinations_with_replacement(range(len(columns)), 2))
    now = ", ".join(f"{sql_value(one)} AS now_{place}" for place, one in enumerate(columns))
    were = ", ".join(f"{one} AS then_{place}" for place, one in enumerate(then))
    sums = [f"sum(now_{one} - then_{one})" for one in range(len(columns))]
    products = [f"sum(now_{one} * now_{other} - then_{one} * then_{other})" for one, other in pairs]
    found = connection.execute(
        f"SELECT variant, user_group, day, count_if(enters), {', '.join(sums + products)} FROM ("
        f"SELECT variant, user_group, rows.day AS day, enters, {now}, {were} FROM ({rows}) AS rows "
        "JOIN users USING (number)) GROUP BY ALL",
        {"last": last},
    ).fetchall()
    by_part: dict[Part, Floats] = {}
    for variant, group, day, *numbers in found:
        empty = np.zeros((last, len(numbers)))
        by_part.setdefault(Part(variant, group), empty)[day - 1] = numbers
    return by_part


def _sums(columns: tuple[str, ...], days: Days, found: dict[Part, Floats]) -> Sums:
    size = len(columns)
    upper = np.triu_indices(size)
    parts = {}
    for part, numbers in found.items():
        users, sums, pairs = (
            numbers[days.last - 1][0],
            numbers[days.last - 1][1 : 1 + size],
            numbers[days.last - 1][1 + size :],
        )
        products = np.zeros((size, size))
        products[upper] = pairs
        products.T[upper] = pairs
        parts[part] = Moments(days, frozenset([part]), columns, int(users), sums, products)
    return Sums(columns, days, parts)


def stored(columns: Iterable[str]) -> list[str]:
    """What `facts` and `users` hold of them."""
    return list(dict.fromkeys(one.removeprefix(PAST).removeprefix(ANY) for one in columns))


def sql_value(column: str, suffix: str = "") -> str:
    """SQL of a user's value of a column."""
    name = column.removeprefix(PAST).removeprefix(ANY)
    stored = before(name) if column.startswith(PAST) else name + suffix
    return f"CAST({stored} > 0 AS DOUBLE)" if column.removeprefix(PAST).startswith(ANY) else stored
