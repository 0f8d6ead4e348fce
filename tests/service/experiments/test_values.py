"""The value of one variant, and how far from it the truth may be."""

import numpy as np
import pytest

from service.experiments.statistics.confidence_sequence import accumulated
from service.experiments.statistics.estimates import Estimate
from service.experiments.statistics.moments import TooLittleDataError
from service.experiments.statistics.values import at_any_time, at_the_end

TENTH = Estimate(value=0.1, variance=0.09, users=900, size=900)  # so the standard error is .01


def test_at_the_end_it_is_student_s_interval() -> None:
    """t of 899 degrees at 97.5 %: 1.9626 errors to each side."""
    found = at_the_end(TENTH)
    assert (found.low, found.high) == pytest.approx((0.1 - 0.019626, 0.1 + 0.019626), abs=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_at_any_time_it_is_narrowest_where_the_plan_says(share: float) -> None:
    """3.035 errors where as much has accumulated, of both variants, as was planned; however they share the users."""
    other = Estimate(0.1, 0.09, round(900 * (1 - share) / share), 900 * (1 - share) / share)
    found = at_any_time(TENTH, planned=accumulated(TENTH, other), share=share)
    assert found.high - 0.1 == pytest.approx(0.03035, abs=1e-5)
    assert 0.1 - found.low == pytest.approx(0.03035, abs=1e-5)


def test_the_truth_stays_inside_at_every_look() -> None:
    """500 experiments, 200 new users on each of 14 days, one in ten of whom clicks: 5 % leave at most, and some do."""
    clicks = np.random.default_rng(7).binomial(200, 0.1, (500, 14)).cumsum(axis=1)
    planned = 8 * 0.09 * 200 * 14  # of two halves: (v/n + v/n) (2n)^2 = 8 v n
    left = 0
    for experiment in clicks:
        for day, clicked in enumerate(experiment, start=1):
            users, value = 200 * day, clicked / (200 * day)
            found = at_any_time(Estimate(value, value * (1 - value), users, users), planned=planned, share=0.5)
            if not found.low <= 0.1 <= found.high:
                left += 1
                break
    assert 0 < left <= 25


def test_nothing_is_said_of_values_that_do_not_vary() -> None:
    for interval in (
        lambda one: at_any_time(one, planned=1.0, share=0.5),
        at_the_end,
    ):
        with pytest.raises(TooLittleDataError, match="found one value in all 30 users"):
            interval(Estimate(0.0, 0.0, 30, 30))
