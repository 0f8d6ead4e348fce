"""What is asked once, at the planned end: does the effect change over days, and users' quantiles."""

from collections.abc import Iterable, Sequence

import numpy as np

from service.experiments.report.contents import Interval, Novelty, Quantile
from service.experiments.report.files import Connection
from service.experiments.report.sums import sql_value
from service.experiments.statistics.metrics import Metric, on_day
from service.experiments.statistics.moments import Days, Floats, Moments, Part, TooLittleDataError
from service.experiments.statistics.novelty import ACTIVE, columns_a_day, daily_effects, trend
from service.experiments.statistics.quantiles import compare_quantiles

PROBABILITIES = (0.5, 0.9)
SEED = 1  # the same files give the same report


def novelties(
    connection: Connection, goals: Sequence[Metric], pair: tuple[str, str], days: int, level: float
) -> list[Novelty]:
    """Of control and treatment, over all days."""
    columns = tuple(dict.fromkeys(column for metric in goals for column in columns_a_day(metric)))
    control, treatment = (_beside(connection, columns, variant, days) for variant in pair)
    found = []
    for metric in goals:
        try:
            one = trend(daily_effects(metric, control, treatment, range(1, days + 1)), level=level)
        except TooLittleDataError as error:
            found.append(Novelty(metric=metric.name, problem=str(error)))
            continue
        slope = Interval.of(one.slope)
        found.append(Novelty(metric=metric.name, slope=slope, p_value=one.p_value, days_differ=one.differing))
    return found


def quantiles(connection: Connection, metrics: Iterable[Metric], pair: tuple[str, str], level: float) -> list[Quantile]:
    """Of every mean: the median and the ninth decile of users' values."""
    found = []
    for metric in (one for one in metrics if one.kind == "mean"):
        control, treatment = (_values(connection, metric.numerator, variant) for variant in pair)
        for probability in PROBABILITIES:
            try:
                one = compare_quantiles(control, treatment, probability, seed=SEED, level=level)
            except TooLittleDataError:
                continue
            sides = {"control": one.control, "treatment": one.treatment, "p_value": one.p_value}
            difference = Interval.of(one.absolute)
            found.append(Quantile(metric=metric.name, probability=probability, difference=difference, **sides))
    return found


def _beside(connection: Connection, columns: tuple[str, ...], variant: str, days: int) -> Moments:
    """Moments of a variant's users with columns for each day: from the days that a user came, two at a time."""
    size = len(columns)
    values = ", ".join(f"{'1' if one == ACTIVE else sql_value(one)} AS {one}" for one in columns)
    products = ", ".join(f"sum(one.{left} * other.{right})" for left in columns for right in columns)
    found = connection.execute(
        f"WITH came AS MATERIALIZED (SELECT number, daily.day, {values} FROM daily JOIN users USING (number) "
        f"WHERE variant = ?) SELECT one.day, other.day, {', '.join(f'sum(one.{it})' for it in columns)}, {products} "
        "FROM came AS one JOIN came AS other ON one.number = other.number AND one.day <= other.day GROUP BY ALL",
        [variant],
    ).fetchall()
    sums, crossed = np.zeros((days, size)), np.zeros((days, size, days, size))
    for one, other, *numbers in found:
        block = np.reshape(numbers[size:], (size, size))
        crossed[one - 1, :, other - 1], crossed[other - 1, :, one - 1] = block, block.T
        if one == other:
            sums[one - 1] = numbers[:size]
    users = connection.execute("SELECT count(*) FROM users WHERE variant = ?", [variant]).fetchall()[0][0]
    names = tuple(on_day(column, day) for day in range(1, days + 1) for column in columns)
    part = frozenset([Part(variant, "")])
    return Moments(Days(1, days), part, names, users, sums.reshape(-1), crossed.reshape(days * size, days * size))


def _values(connection: Connection, column: str, variant: str) -> Floats:
    query = f"SELECT sum({column}) AS value FROM daily JOIN users USING (number) WHERE variant = ? GROUP BY number"
    found: Floats = connection.execute(query, [variant]).fetchnumpy()["value"]
    return found
