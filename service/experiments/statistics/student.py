"""Student's t and, for infinitely many degrees of freedom, the normal distribution."""

from math import isinf

from scipy.special import ndtr, ndtri, stdtr, stdtrit


def quantile(probability: float, freedom: float = float("inf")) -> float:
    """The value below which this much lies."""
    return float(ndtri(probability) if isinf(freedom) else stdtrit(freedom, probability))


def two_sided(statistic: float, freedom: float = float("inf")) -> float:
    """The p-value: how much lies farther from 0, on both sides."""
    return 2 * float(ndtr(-abs(statistic)) if isinf(freedom) else stdtr(freedom, -abs(statistic)))
