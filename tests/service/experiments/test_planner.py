"""How many users, how many days, what effect."""

import pytest

from service.experiments.statistics.estimates import Estimate
from service.experiments.statistics.moments import Days, Moments, Part
from service.experiments.statistics.planner import (
    Design,
    baseline,
    by_day,
    days_needed,
    detectable,
    power,
    users_needed,
)
from tests.service.experiments.simulated import METRICS, PVCTR, UVCTR, VIEWS, of, table

TENTH = Estimate(value=0.1, variance=0.09, users=1000, size=1000)  # a proportion of 10 %


def test_the_rule_of_sixteen() -> None:
    """Lehr: 16 variances / effect^2 in each variant, exactly 2 (1.960 + 0.842)^2 = 15.70; 10 % of 10 % of users."""
    assert users_needed(TENTH, 0.1, Design()) == pytest.approx(2 * 15.698 * 0.09 / 0.01**2, rel=1e-3)


@pytest.mark.parametrize("uplift", [0.01, -0.05, 0.2])
def test_the_planner_agrees_with_itself(uplift: float) -> None:
    """With the users named, the effect has the power named and is the smallest that has."""
    design = Design(alpha=0.01, power=0.9, shares=(0.8, 0.1))
    users = users_needed(TENTH, uplift, design)
    assert power(TENTH, uplift, users, design) == pytest.approx(0.9, abs=1e-3)
    assert detectable(TENTH, users, design) == pytest.approx(abs(uplift), rel=1e-3)


def test_no_effect_is_found_as_often_as_the_level_says() -> None:
    """Power at 0 is alpha, both sides counted."""
    assert power(TENTH, 0, 1000, Design()) == pytest.approx(0.05)


def test_uneven_shares_cost_users() -> None:
    """1 / 0.1 + 1 / 0.9 = 11.1 in place of 4."""
    even, uneven = (users_needed(TENTH, 0.1, Design(shares=shares)) for shares in ((0.5, 0.5), (0.9, 0.1)))
    assert uneven / even == pytest.approx((1 / 0.1 + 1 / 0.9) / 4, rel=1e-3)


@pytest.mark.parametrize("metric", METRICS)
def test_a_past_saves_users(metric) -> None:  # type: ignore[no-untyped-def]
    """With CUPED fewer are needed for means, proportions and ratios."""
    moments = of("a", table(1, users=5000))
    plain, adjusted = (users_needed(baseline(metric, moments, cuped=cuped), 0.05, Design()) for cuped in (False, True))
    assert adjusted < plain


def test_days_follow_from_those_who_came() -> None:
    """Days 1, 1-2, 1-3 of a past with 100, 150, 175 users of one spread: the error falls with their root."""
    history = [
        Moments.of_users({"page_views": [1, 3] * (users // 2)}, days=Days(1, day), part=Part("a", "all"))
        for day, users in ((1, 100), (2, 150), (3, 176))
    ]
    plans = by_day(VIEWS, history, Design(), traffic=2)
    assert [(plan.day, plan.users) for plan in plans] == [(1, 200), (2, 300), (3, 352)]
    assert plans[0].detectable / plans[1].detectable == pytest.approx(1.5**0.5, rel=5e-3)
    assert days_needed(plans, plans[1].detectable) == 2
    assert days_needed(plans, plans[2].detectable * 0.99) is None


def test_a_baseline_is_the_metric_and_its_variance() -> None:
    """A proportion of 0.25 has variance 3/16, a ratio its own size."""
    moments = Moments.of_users(
        {"any_clicks": [1, 0, 0, 0] * 1000, "clicks": [1, 0, 0, 0] * 1000, "page_views": [2] * 4000},
        days=Days(1, 1),
        part=Part("a", "all"),
    )
    assert baseline(UVCTR, moments).variance == pytest.approx(3 / 16, rel=1e-3)
    found = baseline(PVCTR, moments)
    assert (found.value, found.size, found.users) == (0.125, 8000, 4000)
