"""Before an experiment: how many users, how many days, and what effect it could see at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from service.experiments.statistics.cuped import reduced
from service.experiments.statistics.delta import linear
from service.experiments.statistics.distributions import below, quantile
from service.experiments.statistics.estimates import Estimate, size
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments


@dataclass(frozen=True)
class Design:
    """alpha: two-sided; shares: of all users, what control and treatment get."""

    alpha: float = 0.05
    power: float = 0.8
    shares: tuple[float, float] = (0.5, 0.5)

    @classmethod
    def of(cls, weights: Sequence[int], alpha: float, power: float = 0.8) -> "Design":
        """Control and the smallest of the treatments, which share alpha; weights as an experiment has them."""
        whole = sum(weights)
        return cls(alpha / (len(weights) - 1), power, (weights[0] / whole, min(weights[1:]) / whole))

    @property
    def reach(self) -> float:
        """Standard errors that an effect must measure: z_{1 - alpha/2} + z_{power}, 2.80 by default."""
        return quantile(1 - self.alpha / 2) + quantile(self.power)

    @property
    def spread(self) -> float:
        """Variance of a difference, in variances of one user over all users: 1/share + 1/share, 4 by default."""
        control, treatment = self.shares
        return 1 / control + 1 / treatment


@dataclass(frozen=True)
class DayPlan:
    """After so many days: users (of all), and the smallest relative effect found with the power."""

    day: int
    users: int
    detectable: float


def baseline(metric: Metric, history: Moments, *, cuped: bool = False) -> Estimate:
    """A metric of users before the experiment, with its linearised variance, less what CUPED takes away."""
    found = linear(history, metric.columns)
    variance = reduced(metric, history) if cuped else found.variance(history)
    return Estimate(found.value, variance, history.users, size(metric, history))


def users_needed(base: Estimate, uplift: float, design: Design) -> int:
    """Of all users, so that a relative effect is found with the power: reach^2 spread variance / effect^2."""
    return ceil(design.reach**2 * design.spread * base.variance / (uplift * base.value) ** 2)


def detectable(base: Estimate, users: int, design: Design) -> float:
    """The smallest relative effect that so many users find with the power."""
    return design.reach * _error(base, users, design) / abs(base.value)


def power(base: Estimate, uplift: float, users: int, design: Design) -> float:
    """How often a relative effect is found, in the right direction or the wrong one."""
    shift, limit = uplift * base.value / _error(base, users, design), quantile(1 - design.alpha / 2)
    return below(shift - limit) + below(-shift - limit)


def planned_variance(base: Estimate, users: int, design: Design) -> float:
    """`planned` of `confidence_sequence.watch`, for an experiment that is to end with so many users (of all)."""
    taking_part = users * sum(design.shares)
    return (_error(base, users, design) * base.size / base.users * taking_part) ** 2


def by_day(
    metric: Metric, history: Sequence[Moments], design: Design, *, cuped: bool = False, traffic: float = 1.0
) -> list[DayPlan]:
    """From the moments of days 1 to 1, 1 to 2, ... of the past: users come back, so days are no multiples of the first.

    traffic: users to come for each one in the history.
    """
    plans = []
    for moments in history:
        expected = round(moments.users * traffic)
        found = detectable(baseline(metric, moments, cuped=cuped), expected, design)
        plans.append(DayPlan(moments.days.last - moments.days.first + 1, expected, found))
    return plans


def plans(
    metrics: Iterable[Metric], history: Sequence[Moments], design: Design, *, traffic: float = 1.0
) -> dict[str, list[DayPlan]]:
    """`by_day` of each metric of which the past tells anything: it was not 0 on a first day."""
    return {
        metric.name: by_day(metric, history, design, traffic=traffic)
        for metric in metrics
        if all(one.users > 1 and one.sums[one.place(metric.top)] for one in history)
    }


def days_needed(plans: Sequence[DayPlan], uplift: float) -> int | None:
    """The first day after which the effect is found with the power; None when the history is too short to say."""
    return next((plan.day for plan in plans if plan.detectable <= uplift), None)


def _error(base: Estimate, users: int, design: Design) -> float:
    return sqrt(base.variance * design.spread / users)
