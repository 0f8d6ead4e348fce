"""Quantiles of users' values, by a bootstrap over users."""

from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from service.experiments.statistics.effects import Comparison, Effect, Valid
from service.experiments.statistics.moments import Floats, TooLittleDataError


def compare_quantiles(
    control: ArrayLike,
    treatment: ArrayLike,
    probability: float,
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 2000,
) -> Comparison:
    """One value a user in control (N) and treatment (M); percentile intervals, to be believed at the planned end."""
    generator = np.random.default_rng(seed)
    one, ones = _quantile(control, probability, generator, resamples)
    other, others = _quantile(treatment, probability, generator, resamples)
    differences = others - ones
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    positive = min(one, other, ones.min(), others.min()) > 0
    return Comparison(
        one,
        other,
        _effect(other - one, differences, level),
        _effect(other / one - 1, others / ones - 1, level) if positive else None,
        min(1.0, 2 * float(tail + 1) / (resamples + 1)),
        Valid.AT_THE_PLANNED_END,
    )


def _quantile(
    values: ArrayLike, probability: float, generator: np.random.Generator, resamples: int
) -> tuple[float, Floats]:
    """The k-th smallest of N values, k = ceil(probability N), and the same of each resample (R).

    Nothing is resampled: the k-th smallest of N users drawn with replacement is the value at place ceil(N U), where U,
    the k-th smallest of N uniform numbers, has the distribution Beta(k, N - k + 1).
    """
    if not 0 < probability < 1:
        raise ValueError(f"a quantile lies between 0 and 1, found {probability}")
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    users = len(ordered)
    if users < 2:
        raise TooLittleDataError(f"a bootstrap needs two users in each variant, found {users}")
    k = max(1, ceil(round(probability * users, 6)))  # 0.1 * 30 is a little more than 3
    places = np.ceil(users * generator.beta(k, users - k + 1, resamples)).astype(np.int64)
    return float(ordered[k - 1]), ordered[np.clip(places, 1, users) - 1]


def _effect(value: float, resampled: Floats, level: float) -> Effect:
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Effect(value, float(low), float(high))
