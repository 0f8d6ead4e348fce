"""The delta method: a ratio of sums is, near its value, a weighted sum of a user's columns."""

from dataclasses import dataclass

import numpy as np

from service.experiments.statistics.moments import Floats, Moments, TooLittleDataError

ROUNDING = 1e-12  # of what was subtracted from what


@dataclass(frozen=True)
class Linear:
    """A ratio of means (or one mean) and its gradient (C): value moves with a user's columns by these weights.

    Deng, Knoblich, Lu (KDD 2018): R = mean(Y) / mean(X),  dR = dY / mean(X) - R dX / mean(X).
    """

    value: float
    weights: Floats

    def variance(self, moments: Moments) -> float:
        """Of one user's linearised value; the ratio's own is this over the users."""
        return self.covariance(self, moments)

    def covariance(self, other: "Linear", moments: Moments) -> float:
        """Between one user's two linearised values; 0 where only rounding is left of them."""
        found = float(self.weights @ moments.covariances @ other.weights)
        terms = float(np.abs(self.weights) @ np.abs(moments.products) @ np.abs(other.weights)) / moments.users
        return found if abs(found) > ROUNDING * terms else 0.0


def linear(moments: Moments, columns: tuple[str, ...]) -> Linear:
    """Of (numerator,) or (numerator, denominator). Raises TooLittleDataError when the denominators sum to 0."""
    weights = np.zeros(len(moments.columns))
    top = moments.place(columns[0])
    if len(columns) == 1:
        weights[top] = 1.0
        return Linear(float(moments.means[top]), weights)
    bottom = moments.place(columns[1])
    scale = moments.means[bottom]
    if scale == 0:
        raise TooLittleDataError(f"the sum of {columns[1]} is 0 over {moments.users} users")
    value = float(moments.means[top] / scale)
    weights[top] += 1 / scale
    weights[bottom] -= value / scale
    return Linear(value, weights)
