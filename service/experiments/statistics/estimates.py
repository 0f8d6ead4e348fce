"""A variant's value of a metric, and how much it varies from user to user."""

from dataclasses import dataclass

from service.experiments.statistics.cuped import adjusted, theta
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments


@dataclass(frozen=True)
class Estimate:
    """value; variance of ONE user's (linearised, adjusted) value; users; size: the sum of denominators, or users."""

    value: float
    variance: float
    users: int
    size: float

    @property
    def error(self) -> float:
        """The variance of the value itself."""
        return self.variance / self.users


def estimates(
    metric: Metric, control: Moments, treatment: Moments, *, cuped: bool = False
) -> tuple[Estimate, Estimate]:
    """Of control and treatment; with `cuped` both are adjusted by the covariates, with one theta."""
    both = control + treatment  # refuses different days, and users that are on both sides
    slope = theta(metric, control, treatment) if cuped else 0.0
    return _estimate(metric, control, both, slope), _estimate(metric, treatment, both, slope)


def size(metric: Metric, moments: Moments) -> float:
    """What the metric's denominator sums to; a user counts 1 where there is none."""
    return moments.users if metric.denominator is None else float(moments.sums[moments.place(metric.denominator)])


def _estimate(metric: Metric, moments: Moments, both: Moments, slope: float) -> Estimate:
    found = adjusted(metric, moments, both, slope)
    return Estimate(found.value, found.variance(moments), moments.users, size(metric, moments))
