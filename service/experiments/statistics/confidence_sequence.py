"""Asymptotic confidence sequences: intervals that hold at every look together, however often one looks.

Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences"
(Annals of Statistics 2024): Robbins' normal mixture with an estimated variance. On the scale of sums, with variance V,

    |S| <= sqrt((V rho^2 + 1) / rho^2 * log((V rho^2 + 1) / alpha^2))  at all V at once with probability 1 - alpha,

so the familiar estimate +- z * standard error stays, with another z that depends on V rho^2 alone. rho is narrowest
where V rho^2 = -W_{-1}(-alpha^2 / e) - 1; it is put at the planned end, whose V must be fixed BEFORE the first look.
A wrong plan costs width, never validity.
"""

from math import exp, log, sqrt

from service.experiments.statistics.effects import (
    Comparison,
    Valid,
    absolute,
    absolute_errors,
    logarithmic_errors,
    relative,
)
from service.experiments.statistics.estimates import Estimate, estimates
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments


def watch(
    metric: Metric, control: Moments, treatment: Moments, *, planned: float, cuped: bool = False, level: float = 0.95
) -> Comparison:
    """Two variants at any time; `planned` is `accumulated` as planned for the end, the same at every look.

    Assumes users that are independent, a finite variance, enough users at the first look for a normal approximation,
    and of users who come back that those who did much go on to do much (docs/experiments.md says why). Raises
    TooLittleDataError.
    """
    if planned <= 0:
        raise ValueError(f"the planned variance must be above 0, found {planned}")
    one, other = estimates(metric, control, treatment, cuped=cuped)
    errors = absolute_errors(one, other)
    standard = errors.standard  # raises where nothing varies yet, before anything is divided by that
    mass = (1 - level, tuned(1 - level) * accumulated(one, other) / planned)
    logarithmic = logarithmic_errors(one, other)
    return Comparison(
        one.value,
        other.value,
        absolute(one, other, multiplier(*mass) * standard),
        None if logarithmic is None else relative(one, other, multiplier(*mass) * logarithmic.standard),
        p_value((other.value - one.value) / standard, mass[1]),
        Valid.AT_ANY_TIME,
    )


def accumulated(one: Estimate, other: Estimate) -> float:
    """V, the variance of the sum behind the difference: its squared error times (all denominators, or users)^2.

    It is the clock: where users come back, their sums vary more while their number stays.
    """
    return (one.error + other.error) * (one.size + other.size) ** 2


def tuned(alpha: float) -> float:
    """V rho^2 at which the interval is narrowest, where it is log((V rho^2 + 1) / alpha^2): by repetition."""
    mass, before = 1.0, 0.0
    while mass != before:
        mass, before = log((mass + 1) / alpha**2), mass
    return mass


def multiplier(alpha: float, mass: float) -> float:
    """Standard errors that the interval reaches to each side; `mass` is V rho^2."""
    return sqrt((mass + 1) / mass * log((mass + 1) / alpha**2))


def p_value(statistic: float, mass: float) -> float:
    """The smallest alpha whose interval, with this rho, excludes 0: valid at any time as well."""
    return min(1.0, sqrt(mass + 1) * exp(-(statistic**2) * mass / (2 * (mass + 1))))
