"""Normal, Student's t and chi-square, from numpy and the standard library: SciPy is a fifth of the service's image.

t: with t = sqrt(n) sinh(u), what lies beyond t is the integral of cosh(u)^-n from u on, over the same from 0 on.
Gauss's rule with 100 nodes over all that matters of it (down to e^-45) is exact to 1e-11 for 1 to 10^13 degrees of
freedom n.
"""

from math import asinh, copysign, cosh, erfc, exp, expm1, fsum, inf, isinf, lgamma, log, sinh, sqrt
from statistics import NormalDist

import numpy as np

NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)
FALLEN = 45.0  # e^-45 is less than rounding


def two_sided(statistic: float, freedom: float = inf) -> float:
    """The p-value: how much lies farther from 0, on both sides; normal for infinitely many degrees of freedom."""
    if isinf(freedom):
        return erfc(abs(statistic) / sqrt(2))
    return _beyond(asinh(abs(statistic) / sqrt(freedom)), freedom) / _beyond(0.0, freedom)


def quantile(probability: float, freedom: float = inf) -> float:
    """The value below which this much lies.

    Newton's method from the normal quantile, which is nearer to 0: beyond 0 the distribution function is concave, so
    that no step goes too far.
    """
    normal = NormalDist().inv_cdf(probability)
    if isinf(freedom) or normal == 0:
        return normal
    found, step, whole = abs(normal), inf, _beyond(0.0, freedom)
    while step > 1e-14 * found:
        place = asinh(found / sqrt(freedom))
        missing = _beyond(place, freedom) - 2 * min(probability, 1 - probability) * whole
        step = missing * sqrt(freedom) * exp((freedom + 1) * log(cosh(place)))
        found += step
    return copysign(found, normal)


def below(value: float) -> float:
    """How much of the normal distribution lies below."""
    return erfc(-value / sqrt(2)) / 2


def chi_square_beyond(distance: float, freedom: int) -> float:
    """How much lies beyond: with x half of it the sum of e^-x x^a / a!, a = 0, 1, ... or (beside erfc) 1/2, 3/2, ..."""
    half, odd = distance / 2, freedom % 2
    if half <= 0:
        return 1.0
    powers = (number + odd / 2 for number in range(freedom // 2))
    terms = (exp(power * log(half) - half - lgamma(power + 1)) for power in powers)
    return fsum([erfc(sqrt(half)) if odd else 0.0, *terms])


def _beyond(start: float, freedom: float) -> float:
    """The integral of cosh^-freedom from `start` to where it has fallen by e^-45."""
    top = 2 * sinh(start / 2) ** 2  # cosh - 1, exact near 0
    end = 2 * asinh(sqrt((top + (1 + top) * expm1(FALLEN / freedom)) / 2))
    half = (end - start) / 2
    points = start + half * (1 + NODES)
    return half * float(WEIGHTS @ np.exp(-freedom * np.log1p(2 * np.sinh(points / 2) ** 2)))
