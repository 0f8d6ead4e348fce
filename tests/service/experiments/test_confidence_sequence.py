"""Intervals that hold at every look."""

from math import exp, inf, sqrt

import numpy as np
import pytest

from service.experiments.statistics.comparison import compare
from service.experiments.statistics.confidence_sequence import accumulated, multiplier, p_value, tuned, watch
from service.experiments.statistics.effects import Valid
from service.experiments.statistics.estimates import estimates
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Days, Moments, Part, TooLittleDataError
from service.experiments.statistics.planner import Design, baseline, planned_variance
from tests.service.experiments.simulated import METRICS, PVCTR, VIEWS, of, table


def test_the_tuning_is_the_equation_of_the_paper() -> None:
    """V rho^2 = m with e^m = (m + 1) / alpha^2, where the interval is sqrt(m + 1) standard errors: 3.04 at 5 %."""
    found = tuned(0.05)
    assert exp(found) == pytest.approx((found + 1) / 0.05**2)
    assert multiplier(0.05, found) == pytest.approx(sqrt(found + 1)) == pytest.approx(3.035, abs=1e-3)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2])
def test_no_other_tuning_is_narrower_at_the_planned_end(factor: float) -> None:
    """The width there grows in both directions."""
    assert multiplier(0.05, factor * tuned(0.05)) > multiplier(0.05, tuned(0.05))


@pytest.mark.parametrize("mass", [0.1, 1, 8, 100])
def test_p_value_and_interval_say_the_same(mass: float) -> None:
    """An effect at the very end of the interval has p = alpha; one of nothing has 1."""
    assert p_value(multiplier(0.05, mass), mass) == pytest.approx(0.05)
    assert p_value(0, mass) == 1


@pytest.mark.parametrize("planned", [100, 1000, 10_000])
def test_a_random_walk_leaves_it_once_in_twenty_at_most(planned: float) -> None:
    """2,000 walks, looked at after each of 2,000 steps: never above 5 %, however wrong the plan; not idle either."""
    walks = np.random.default_rng(1).standard_normal((2000, 2000)).cumsum(axis=1)
    limits = [multiplier(0.05, tuned(0.05) * step / planned) * sqrt(step) for step in range(1, 2001)]
    left = (np.abs(walks) > limits).any(axis=1).mean()
    assert 0.003 < left < 0.05


@pytest.mark.parametrize("metric", METRICS)
def test_it_is_the_fixed_interval_with_another_multiplier(metric) -> None:  # type: ignore[no-untyped-def]
    """Estimates are the same; the half-widths are as the multiplier to the t quantile, absolute and relative."""
    control, treatment = of("a", table(1)), of("b", table(2))
    planned = accumulated(*estimates(metric, control, treatment))
    watched, fixed = (
        watch(metric, control, treatment, planned=planned),
        compare(metric, control, treatment),
    )
    assert watched.absolute.value == fixed.absolute.value
    widths = [it.absolute.high - it.absolute.low for it in (watched, fixed)]
    assert widths[0] / widths[1] == pytest.approx(3.035 / 1.960, rel=5e-3)
    assert watched.p_value > fixed.p_value
    assert watched.valid is Valid.AT_ANY_TIME


def test_the_planned_variance_is_what_has_accumulated_when_all_went_as_planned() -> None:
    """Of means and ratios; shares of the traffic count."""
    control, treatment = of("a", table(1, users=20_000)), of("b", table(2, users=20_000))
    for metric in (PVCTR, VIEWS):
        base = baseline(metric, control + treatment)
        found = accumulated(*estimates(metric, control, treatment))
        assert planned_variance(base, 40_000, Design()) == pytest.approx(found, rel=0.02)
        assert planned_variance(base, 400_000, Design(shares=(0.05, 0.05))) == pytest.approx(found, rel=0.02)


def test_long_before_the_planned_end_anything_is_possible() -> None:
    """A look at a billionth of the planned variance has no upper end of the uplift, and no p-value below 1."""
    found = watch(VIEWS, of("a", table(1)), of("b", table(2)), planned=1e15)
    assert found.relative is not None
    assert (found.relative.low, found.relative.high, found.p_value) == pytest.approx((-1, inf, 1))


def test_a_plan_needs_a_variance() -> None:
    """Nothing is planned by 0."""
    with pytest.raises(ValueError, match="above 0, found 0"):
        watch(VIEWS, of("a", table(1)), of("b", table(2)), planned=0)


def test_a_look_before_anything_varies_is_too_little_data() -> None:
    """Clicks, and no conversion yet in either variant: there is no interval, whatever is planned."""
    totals = {"conversions": [0, 0, 0], "clicks": [1, 2, 3]}
    control, treatment = (Moments.of_users(totals, days=Days(1, 1), part=Part(name, "all")) for name in "ab")
    with pytest.raises(TooLittleDataError, match="an effect needs values that vary"):
        watch(Metric("cvr", "ratio", "conversions", "clicks"), control, treatment, planned=100)
