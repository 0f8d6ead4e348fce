"""One variant's value of a metric with its interval: what it is, and not how it differs from another's."""

from math import sqrt

from service.experiments.statistics.confidence_sequence import multiplier, tuned
from service.experiments.statistics.distributions import quantile
from service.experiments.statistics.effects import Effect
from service.experiments.statistics.estimates import Estimate
from service.experiments.statistics.moments import TooLittleDataError


def at_any_time(found: Estimate, *, planned: float, share: float, level: float = 0.95) -> Effect:
    """By a confidence sequence; `planned` as `watch` is told of both variants, `share` this one's of their users.

    Of what accumulates behind the difference, error_1 + error_2 times (size_1 + size_2)^2 with errors as 1 / share, one
    variant's own sum has share^2 (1 - share). Raises TooLittleDataError.
    """
    accumulated = found.error * found.size**2
    mass = tuned(1 - level) * accumulated / (planned * share**2 * (1 - share))
    return _around(found, multiplier(1 - level, mass) if mass else 0.0)


def at_the_end(found: Estimate, *, level: float = 0.95) -> Effect:
    """By Student's t, to be believed once. Raises TooLittleDataError."""
    return _around(found, quantile((1 + level) / 2, found.users - 1))


def _around(found: Estimate, errors: float) -> Effect:
    if found.error <= 0:
        raise TooLittleDataError(f"an interval needs values that vary, found one value in all {found.users} users")
    half_width = errors * sqrt(found.error)
    return Effect(found.value, found.value - half_width, found.value + half_width)
