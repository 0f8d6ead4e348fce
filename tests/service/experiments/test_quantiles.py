"""Quantiles by a bootstrap over users."""

import numpy as np
import pytest

from service.experiments.statistics.moments import TooLittleDataError
from service.experiments.statistics.quantiles import compare_quantiles


def test_the_smaller_of_two_draws_is_the_smaller_value_three_times_in_four() -> None:
    """Median of (0, 1): the 1st smallest of two draws, 0 unless both are 1. Against all 0: differences -1 in 1/4."""
    found = compare_quantiles([0, 1], [0, 0], 0.5, seed=1, resamples=40_000)
    assert (found.control, found.treatment, found.absolute.value) == (0, 0, 0)
    assert (found.absolute.low, found.absolute.high) == (-1, 0)
    assert found.p_value == 1
    assert compare_quantiles([0, 1], [1, 1], 0.5, seed=1, resamples=40_000).p_value == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_it_is_the_bootstrap(probability: float) -> None:
    """The same interval, up to its noise, as drawing 200 users with replacement and sorting them, 4,000 times."""
    generator = np.random.default_rng(3)
    control, treatment = generator.lognormal(0, 1, 200), generator.lognormal(0.3, 1, 200)
    drawn = [
        np.quantile(generator.choice(side, (4000, 200)), probability, axis=1, method="inverted_cdf")
        for side in (control, treatment)
    ]
    expected = np.quantile(drawn[1] - drawn[0], [0.025, 0.975])
    found = compare_quantiles(control, treatment, probability, seed=1, resamples=4000)
    assert found.control == np.quantile(control, probability, method="inverted_cdf")
    assert [found.absolute.low, found.absolute.high] == pytest.approx(expected, abs=0.1 * np.ptp(expected))


def test_one_seed_one_answer_whatever_the_order() -> None:
    """The same seed gives the same interval, of the users in any order; another seed another."""
    values = np.random.default_rng(1).lognormal(0, 1, 300)
    found = compare_quantiles(values[:100], values[100:], 0.9, seed=1)
    assert found == compare_quantiles(values[99::-1], values[:99:-1], 0.9, seed=1)
    assert found != compare_quantiles(values[:100], values[100:], 0.9, seed=2)


def test_an_uplift_needs_values_above_zero() -> None:
    """Doubled values are 100 % more; with a 0 among them there may be no ratio."""
    values = np.arange(1, 101)
    found = compare_quantiles(values, 2 * values, 0.5, seed=1)
    assert found.relative is not None
    assert found.relative.value == 1
    assert compare_quantiles([0, 0, 1], [1, 2, 3], 0.5, seed=1).relative is None


def test_what_has_no_quantile_is_refused() -> None:
    """One user cannot be resampled, and no value lies above all."""
    with pytest.raises(TooLittleDataError, match="found 1"):
        compare_quantiles([1], [1, 2], 0.5, seed=1)
    with pytest.raises(ValueError, match="between 0 and 1, found 1"):
        compare_quantiles([1, 2], [1, 2], 1, seed=1)
