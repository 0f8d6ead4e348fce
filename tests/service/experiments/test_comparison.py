"""Two variants at the planned end."""

from math import exp, inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.experiments.statistics.comparison import compare
from service.experiments.statistics.confidence_sequence import watch
from service.experiments.statistics.cuped import reduced
from service.experiments.statistics.effects import Comparison, Effect, Valid
from service.experiments.statistics.estimates import estimates
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Days, Moments, Part, TooLittleDataError
from tests.service.experiments.simulated import METRICS, PVCTR, UVCTR, VIEWS, of, table


def users(variant: str, **totals: list[float]) -> Moments:
    return Moments.of_users(totals, days=Days(1, 1), part=Part(variant, "all"))


def test_welch_by_hand() -> None:
    """0, 2 against 3, 5: errors 1 and 1, freedom (1 + 1)^2 / (1 + 1) = 2, where t has p = 1 - t / sqrt(2 + t^2)."""
    found = compare(VIEWS, users("a", page_views=[0, 2]), users("b", page_views=[3, 5]), level=0.9)
    t = 3 / sqrt(2)
    assert (found.control, found.treatment, found.absolute.value) == (1, 4, 3)
    assert found.p_value == pytest.approx(1 - t / sqrt(2 + t**2))  # 0.168
    half_width = 0.9 / sqrt(2 * 0.95 * 0.05) * sqrt(2)  # t_{0.95}(2) = 2.920
    assert found.absolute == Effect(3, pytest.approx(3 - half_width), pytest.approx(3 + half_width))
    assert found.valid is Valid.AT_THE_PLANNED_END


def test_two_proportions_by_hand() -> None:
    """30 of 100 against 50 of 100: pooled 0.4, z = 0.2 / sqrt(0.24 * 0.02) = 2.8868, p 0.0039; errors 0.21 and 0.25."""
    found = compare(
        UVCTR, users("a", any_clicks=[1.0] * 30 + [0.0] * 70), users("b", any_clicks=[1.0] * 50 + [0.0] * 50)
    )
    assert found.p_value == pytest.approx(0.003892, abs=1e-6)
    half_width = 1.959964 * sqrt((0.21 + 0.25) / 100)
    assert found.absolute.low == pytest.approx(0.2 - half_width, abs=1e-6)
    assert found.relative is not None
    assert found.relative.high == pytest.approx(5 / 3 * exp(1.959964 * sqrt(0.7 / 30 + 0.5 / 50)) - 1, abs=1e-5)


def test_delta_method_by_hand() -> None:
    """Views 1, 3 and clicks 0, 2: R = 1/2; residuals clicks - R views -1/2, 1/2, over mean views 2: variance 1/8."""
    one, other = estimates(
        PVCTR, users("a", clicks=[0, 2], page_views=[1, 3]), users("b", clicks=[1, 1], page_views=[1, 3])
    )
    assert (one.value, other.value) == (0.5, 0.5)
    assert one.variance == pytest.approx(1 / 8)
    assert one.size == 4


def test_a_ratio_takes_the_user_for_the_unit() -> None:
    """Users whose 100 views are all clicked or none: 20 users are 20 facts, not 2,000."""
    clicks = [100.0, 0.0] * 10
    views = [100.0] * 20
    ratio = compare(PVCTR, users("a", clicks=clicks, page_views=views), users("b", clicks=clicks, page_views=views))
    mean = compare(VIEWS, users("a", page_views=[1.0, 0.0] * 10), users("b", page_views=[1.0, 0.0] * 10))
    assert ratio.absolute.high == pytest.approx(mean.absolute.high)


def test_cuped_with_a_past_that_tells_all_leaves_no_variance() -> None:
    """Views = 2 + 3 * past in both variants: theta is 3, and nothing that varies is left."""
    past = np.array([0.0, 1, 2, 3])
    moments = [users(name, page_views=list(2 + 3 * past), before_page_views=list(past)) for name in "ab"]
    assert reduced(VIEWS, moments[0]) == 0
    assert compare(VIEWS, *moments).p_value == 1
    with pytest.raises(TooLittleDataError, match="values that vary"):
        compare(VIEWS, *moments, cuped=True)


def test_cuped_takes_the_squared_correlation_away() -> None:
    """Var(Y - theta X) = Var(Y) (1 - r^2)."""
    totals = table(3)
    r = np.corrcoef(totals["page_views"], totals["before_page_views"])[0, 1]
    assert r**2 > 0.5
    assert reduced(VIEWS, of("a", totals)) == pytest.approx(totals["page_views"].var(ddof=1) * (1 - r**2))


def test_without_a_past_cuped_changes_nothing() -> None:
    """Users who are all new have no covariate, of a mean or of a ratio."""
    sides = []
    for seed, name in ((1, "a"), (2, "b")):
        totals = table(seed)
        sides.append(of(name, totals | {key: 0 * column for key, column in totals.items() if key.startswith("before")}))
    for metric in (PVCTR, VIEWS):
        assert compare(metric, *sides, cuped=True) == compare(metric, *sides)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.sampled_from(METRICS), st.booleans(), st.booleans())
def test_variants_can_be_swapped(seed: int, metric: Metric, cuped: bool, watched: bool) -> None:
    """The effect of B on A is minus that of A on B, absolute and as a logarithm; the p-value is the same."""

    def compared(one: Moments, other: Moments) -> Comparison:
        if watched:
            return watch(metric, one, other, planned=1e5, cuped=cuped)
        return compare(metric, one, other, cuped=cuped)

    one, other = of("a", table(seed)), of("b", table(seed + 1))
    there, back = compared(one, other), compared(other, one)
    assert back.p_value == pytest.approx(there.p_value, rel=1e-9)
    assert ends(back.absolute) == pytest.approx([-end for end in reversed(ends(there.absolute))], rel=1e-9, abs=1e-12)
    assert there.relative is not None
    assert back.relative is not None
    logarithms = [log(1 + end) for end in ends(there.relative)]
    assert [log(1 + end) for end in ends(back.relative)] == pytest.approx([-end for end in reversed(logarithms)])


def ends(effect: Effect) -> list[float]:
    return [effect.low, effect.value, effect.high]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from(METRICS), st.booleans())
def test_the_order_of_users_does_not_matter(seed: int, metric: Metric, cuped: bool) -> None:
    """Shuffled users compare the same, to the last bit."""
    order = np.random.default_rng(seed).permutation(500)
    treatment, totals = of("b", table(seed + 1)), table(seed)
    shuffled = {name: column[order] for name, column in totals.items()}
    assert compare(metric, of("a", totals), treatment, cuped=cuped) == compare(
        metric, of("a", shuffled), treatment, cuped=cuped
    )


def test_nothing_is_made_up() -> None:
    """No users, no denominators and no variation are too little data; no uplift of or to nothing."""
    none, some = users("a", clicks=[0, 0], page_views=[0, 0]), users("b", clicks=[0, 0], page_views=[1, 2])
    with pytest.raises(TooLittleDataError, match="sum of page_views is 0"):
        compare(PVCTR, none, some)
    with pytest.raises(TooLittleDataError, match="values that vary"):
        compare(Metric("clicks", "mean", "clicks"), none, some)
    with pytest.raises(TooLittleDataError, match="needs users"):
        compare(VIEWS, users("a", page_views=[]), users("b", page_views=[1, 2]))
    with pytest.raises(TooLittleDataError, match="values that vary"):
        compare(UVCTR, users("a", any_clicks=[0, 0]), users("b", any_clicks=[1, 1]))
    found = compare(VIEWS, users("a", page_views=[0, 0]), users("b", page_views=[1, 2]))
    assert found.relative is None
    assert found.absolute.high < inf


def test_rounding_is_no_variation() -> None:
    """0.1 a hundred times has no variance, though sums of squares leave some."""
    sides = [users(name, page_views=[0.1] * 100) for name in "ab"]
    assert sides[0].covariances[0, 0] != 0
    with pytest.raises(TooLittleDataError):
        compare(VIEWS, *sides)
