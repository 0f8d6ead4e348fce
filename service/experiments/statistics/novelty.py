"""Novelty: does the effect change over days?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from service.experiments.statistics.delta import linear
from service.experiments.statistics.distributions import chi_square_beyond, quantile, two_sided
from service.experiments.statistics.effects import Effect
from service.experiments.statistics.metrics import Metric, on_day
from service.experiments.statistics.moments import Floats, Moments, TooLittleDataError

ACTIVE = "active"  # 1 on days the user came


@dataclass(frozen=True, eq=False)
class DailyEffects:
    """days (D); values (D): logarithm of treatment over control; covariance (D, D): days share users."""

    days: tuple[int, ...]
    values: Floats
    covariance: Floats


@dataclass(frozen=True)
class Trend:
    """slope: relative effect gained a day (-0.01 = 1 % lost), p_value of no slope; differing: p-value of equal days."""

    slope: Effect
    p_value: float
    differing: float


def day_columns(metric: Metric, days: Sequence[int]) -> tuple[str, ...]:
    """The columns that the moments of `daily_effects` need: a user's totals of each day, 0 where they did not come."""
    return tuple(on_day(column, day) for day in days for column in columns_a_day(metric))


def daily_effects(metric: Metric, control: Moments, treatment: Moments, days: Sequence[int]) -> DailyEffects:
    """Each day's effect among those who came, with what days have in common; days of the calendar, or since exposure.

    Means and proportions are a user who came, so that they too are ratios on a day. Raises TooLittleDataError for a day
    without a positive value on both sides.
    """
    treated, untreated = _logarithms(metric, treatment, days), _logarithms(metric, control, days)
    return DailyEffects(tuple(days), treated[0] - untreated[0], treated[1] + untreated[1])


def trend(effects: DailyEffects, *, level: float = 0.95) -> Trend:
    """Weighted least squares over days; its error, and whether days differ at all (Wald), from the whole covariance."""
    if len(effects.days) < 3:
        raise TooLittleDataError(f"a trend needs three days, found {len(effects.days)}")
    if np.linalg.matrix_rank(effects.covariance) < len(effects.days):
        raise TooLittleDataError("a trend needs days that vary, each of its own")
    weights = 1 / np.diag(effects.covariance)
    centred = np.array(effects.days) - np.average(effects.days, weights=weights)
    shares = weights * centred / (weights @ centred**2)
    slope, error = float(shares @ effects.values), sqrt(float(shares @ effects.covariance @ shares))
    half_width = quantile((1 + level) / 2) * error
    return Trend(Effect(slope, slope - half_width, slope + half_width), two_sided(slope / error), _differing(effects))


def _differing(effects: DailyEffects) -> float:
    steps = np.diff(np.eye(len(effects.days)), axis=0)  # (D - 1, D): each day less the day before
    changes = steps @ effects.values
    distance = changes @ np.linalg.solve(steps @ effects.covariance @ steps.T, changes)
    return chi_square_beyond(float(distance), len(changes))


def _logarithms(metric: Metric, moments: Moments, days: Sequence[int]) -> tuple[Floats, Floats]:
    """Values (D) and covariance (D, D) of one variant's days."""
    found = [linear(moments, tuple(on_day(column, day) for column in columns_a_day(metric))) for day in days]
    if any(one.value <= 0 for one in found):
        raise TooLittleDataError(f"{metric.name} is not above 0 on every one of days {list(days)}")
    gradients = np.array([one.weights / one.value for one in found])  # (D, C)
    return np.array([log(one.value) for one in found]), gradients @ moments.covariances @ gradients.T / moments.users


def columns_a_day(metric: Metric) -> tuple[str, str]:
    """What it counts among those who came on a day."""
    return metric.top, metric.denominator or ACTIVE
