"""Two variants at the planned end: Welch's t, the two-proportion z, the delta method."""

from math import inf

from service.experiments.statistics.distributions import quantile, two_sided
from service.experiments.statistics.effects import (
    Comparison,
    Errors,
    Valid,
    absolute,
    absolute_errors,
    logarithmic_errors,
    relative,
)
from service.experiments.statistics.estimates import Estimate, estimates
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments


def compare(
    metric: Metric, control: Moments, treatment: Moments, *, cuped: bool = False, level: float = 0.95
) -> Comparison:
    """To be believed once, at the end that was planned; before it, `confidence_sequence.watch`.

    Means and ratios: Welch's t on (linearised) users. Proportions: z, the p-value with the pooled variance of the
    hypothesis that they are equal, the intervals with each variant's own; with CUPED they are means like others.
    Raises TooLittleDataError.
    """
    one, other = estimates(metric, control, treatment, cuped=cuped)
    if metric.kind == "proportion" and not cuped:
        return _proportions(one, other, level)
    errors = absolute_errors(one, other)
    p_value = two_sided((other.value - one.value) / errors.standard, errors.freedom)
    return _compared(one, other, p_value, level)


def _proportions(one: Estimate, other: Estimate, level: float) -> Comparison:
    pooled = (one.value * one.users + other.value * other.users) / (one.users + other.users)
    variance = pooled * (1 - pooled)
    errors = Errors(variance / one.users, variance / other.users, (one.users, other.users))
    p_value = two_sided((other.value - one.value) / errors.standard)
    one, other = (Estimate(it.value, it.value * (1 - it.value), it.users, it.size) for it in (one, other))
    return _compared(one, other, p_value, level, normal=True)


def _compared(one: Estimate, other: Estimate, p_value: float, level: float, *, normal: bool = False) -> Comparison:
    def half_width(errors: Errors) -> float:
        return quantile((1 + level) / 2, inf if normal else errors.freedom) * errors.standard

    logarithmic = logarithmic_errors(one, other)
    return Comparison(
        one.value,
        other.value,
        absolute(one, other, half_width(absolute_errors(one, other))),
        None if logarithmic is None else relative(one, other, half_width(logarithmic)),
        p_value,
        Valid.AT_THE_PLANNED_END,
    )
