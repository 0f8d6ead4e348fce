"""Distribution functions, against SciPy and by hand."""

from math import inf, pi

import pytest
from scipy import special

from service.experiments.statistics.distributions import below, chi_square_beyond, quantile, two_sided

FREEDOMS = (1, 1.3, 2, 5.5, 30.2, 1500.5, 3e4 + 0.3, 1e6 + 0.7, 1e8 + 0.1, 1e10, 1e13)
EXACT = {"rel": 1e-11, "abs": 0}


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_students_t(freedom: float) -> None:
    """P-values down to 1e-200 and quantiles of any level agree with SciPy's; quantiles are odd around 1/2."""
    for statistic in (0, 0.1, 1, 2, 6, 29, 1000):
        expected = 2 * special.stdtr(freedom, -statistic)
        assert two_sided(statistic, freedom) == pytest.approx(expected, **EXACT) == two_sided(-statistic, freedom)
    for level in (0.51, 0.6, 0.9, 0.975, 0.995, 0.9999, 1 - 1e-9):
        assert quantile(level, freedom) == pytest.approx(special.stdtrit(freedom, level), **EXACT)
    assert quantile(0.25, freedom) == -quantile(0.75, freedom)
    assert quantile(0.5, freedom) == 0


def test_t_of_one_degree_of_freedom_is_cauchys() -> None:
    """A quarter of it lies beyond 1, and 2 / pi / t of it beyond a large t on either side."""
    assert quantile(0.75, 1) == pytest.approx(1, **EXACT)
    assert two_sided(1, 1) == pytest.approx(0.5, **EXACT)
    assert two_sided(1e9, 1) == pytest.approx(2 / pi / 1e9, **EXACT)


def test_normal() -> None:
    """It is t with infinitely many degrees of freedom."""
    for value in (-30, -5, -1.96, 0, 0.3, 2, 7):
        assert below(value) == pytest.approx(special.ndtr(value), **EXACT)
        assert two_sided(value) == pytest.approx(2 * special.ndtr(-abs(value)), **EXACT)
    for level in (1e-9, 0.025, 0.5, 0.8, 0.975):
        assert quantile(level, inf) == pytest.approx(special.ndtri(level), rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 13, 30])
def test_chi_square(freedom: int) -> None:
    """Two degrees of freedom are e^(-x / 2); nothing lies below 0."""
    for distance in (0.001, 0.5, 3, 20, 200, 1400):
        assert chi_square_beyond(distance, freedom) == pytest.approx(special.chdtrc(freedom, distance), **EXACT)
    assert chi_square_beyond(0, freedom) == 1
