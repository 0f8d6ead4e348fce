"""Whether the effect changes over days."""

from math import exp, log, sqrt

import numpy as np
import pytest

from service.experiments.statistics.metrics import Metric, on_day
from service.experiments.statistics.moments import Days, Moments, Part, TooLittleDataError
from service.experiments.statistics.novelty import DailyEffects, daily_effects, day_columns, trend
from tests.service.experiments.simulated import PVCTR, UVCTR, VIEWS


def test_three_independent_days_by_hand() -> None:
    """Effects 2, 1, 0 of variance 1/4: slope (0 - 2) / 2, error sqrt(1/4 / 2); Q = 2 / (1/4), p = exp(-Q / 2)."""
    found = trend(DailyEffects((1, 2, 3), np.array([2.0, 1, 0]), np.eye(3) / 4))
    assert found.slope.value == pytest.approx(-1)
    assert found.slope.high == pytest.approx(-1 + 1.959964 * sqrt(1 / 8))
    assert found.differing == pytest.approx(exp(-4))
    assert found.p_value == pytest.approx(0.004678, abs=1e-6)  # z = -2.828


def test_what_days_share_is_no_trend() -> None:
    """A covariance of 3/4 between all days moves every day alike: variances of 1 count as 1/4."""
    apart = trend(DailyEffects((1, 2, 3), np.array([2.0, 1, 0]), np.eye(3) / 4))
    together = trend(DailyEffects((1, 2, 3), np.array([2.0, 1, 0]), np.eye(3) / 4 + 0.75))
    assert together.slope.high == pytest.approx(apart.slope.high)
    assert together.differing == pytest.approx(apart.differing)


def test_a_day_of_little_weight_moves_little() -> None:
    """Day 3 is nearly unknown: the slope is that of days 1 and 2."""
    found = trend(DailyEffects((1, 2, 3), np.array([0.0, 1, -50]), np.diag([1, 1, 1e9])))
    assert found.slope.value == pytest.approx(1, abs=1e-3)


def by_day(variant: str, seed: int, users: int = 400) -> tuple[Moments, dict[str, np.ndarray]]:
    generator = np.random.default_rng(seed)
    propensities = generator.beta(2, 8, users)
    totals = {}
    for day in (1, 2, 3):
        views = generator.poisson(3, users)
        totals |= {on_day("page_views", day): views, on_day("active", day): views > 0}
        totals[on_day("clicks", day)] = generator.binomial(views, propensities)
        totals[on_day("any_clicks", day)] = totals[on_day("clicks", day)] > 0
    return Moments.of_users(totals, days=Days(1, 3), part=Part(variant, "all")), totals


def test_daily_effects_know_that_days_share_users() -> None:
    """The covariance is that of each user's residuals (clicks - R views) / all clicks, summed over users."""
    sides = [by_day("a", 1), by_day("b", 2)]
    found = daily_effects(PVCTR, sides[0][0], sides[1][0], (1, 2, 3))
    expected = np.zeros((3, 3))
    for _, totals in sides:
        clicks, views = (
            np.array([totals[on_day(name, day)] for day in (1, 2, 3)]) for name in ("clicks", "page_views")
        )
        rates = clicks.sum(axis=1) / views.sum(axis=1)
        residuals = (clicks - rates[:, None] * views) / clicks.sum(axis=1)[:, None]
        expected += residuals @ residuals.T * 400 / 399
    assert found.covariance == pytest.approx(expected)
    assert found.covariance[0, 1] > 0
    rates = [side["clicks@2"].sum() / side["page_views@2"].sum() for _, side in sides]
    assert found.values[1] == pytest.approx(log(rates[1] / rates[0]))


@pytest.mark.parametrize("metric", [UVCTR, VIEWS])
def test_on_a_day_only_those_who_came_count(metric: Metric) -> None:
    """Means and proportions are per active user, and the columns say so."""
    (control, untreated), (treatment, treated) = by_day("a", 1), by_day("b", 2)
    assert set(day_columns(metric, (1, 2, 3))) <= set(control.columns)
    values = [side[on_day(metric.top, 3)].sum() / side["active@3"].sum() for side in (untreated, treated)]
    found = daily_effects(metric, control, treatment, (1, 2, 3))
    assert found.values[2] == pytest.approx(log(values[1] / values[0]))


def test_too_few_days_or_clicks() -> None:
    """Two days have no trend, a day without a click no logarithm."""
    with pytest.raises(TooLittleDataError, match="three days, found 2"):
        trend(DailyEffects((1, 2), np.zeros(2), np.eye(2)))
    totals = {name: [1.0, 2.0] if "page" in name else [0.0, 0.0] for name in day_columns(PVCTR, (1, 2, 3))}
    sides = [Moments.of_users(totals, days=Days(1, 3), part=Part(name, "all")) for name in "ab"]
    with pytest.raises(TooLittleDataError, match="not above 0"):
        daily_effects(PVCTR, *sides, (1, 2, 3))
