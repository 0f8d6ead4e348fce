"""The effect of a treatment, absolute and relative, and until when its interval may be believed."""

from dataclasses import dataclass
from enum import Enum
from math import expm1, inf, log, sqrt

from service.experiments.statistics.estimates import Estimate
from service.experiments.statistics.moments import TooLittleDataError

LARGEST = 700  # e^700 is a number, e^710 is none


class Valid(Enum):
    """When p-value and interval mean what they say."""

    AT_THE_PLANNED_END = "at the planned end"
    AT_ANY_TIME = "at any time"


@dataclass(frozen=True)
class Effect:
    """Treatment against control, with its interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval does."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """One metric of two variants; `relative` is the uplift (0.02 = 2 %), None unless both values have one sign."""

    control: float
    treatment: float
    absolute: Effect
    relative: Effect | None
    p_value: float
    valid: Valid


@dataclass(frozen=True)
class Errors:
    """Squared standard errors of both variants on one scale, and the degrees of freedom of their difference."""

    control: float
    treatment: float
    users: tuple[int, int]

    @property
    def standard(self) -> float:
        """Of the difference. Raises TooLittleDataError where nothing varies: no interval could be right."""
        if self.control + self.treatment <= 0:
            raise TooLittleDataError(
                f"an effect needs values that vary, found one value in all {sum(self.users)} users"
            )
        return sqrt(self.control + self.treatment)

    @property
    def freedom(self) -> float:
        """Welch-Satterthwaite."""
        control, treatment = (
            error**2 / (n - 1) for error, n in zip((self.control, self.treatment), self.users, strict=True)
        )
        return (self.control + self.treatment) ** 2 / (control + treatment)


def absolute_errors(control: Estimate, treatment: Estimate) -> Errors:
    """Of the values."""
    return Errors(control.error, treatment.error, (control.users, treatment.users))


def logarithmic_errors(control: Estimate, treatment: Estimate) -> Errors | None:
    """Of the logarithms, by the delta method: Var(log Y) = Var(Y) / Y^2; None where there is no ratio of one sign."""
    if control.value * treatment.value <= 0:
        return None
    errors = control.error / control.value**2, treatment.error / treatment.value**2
    return Errors(*errors, (control.users, treatment.users))


def absolute(control: Estimate, treatment: Estimate, half_width: float) -> Effect:
    """The difference."""
    value = treatment.value - control.value
    return Effect(value, value - half_width, value + half_width)


def relative(control: Estimate, treatment: Estimate, half_width: float) -> Effect:
    """The ratio less 1; `half_width` is of its logarithm, so that the interval never falls below -100 %."""
    ratio = treatment.value / control.value
    high = log(ratio) + half_width
    return Effect(ratio - 1, expm1(log(ratio) - half_width), expm1(high) if high < LARGEST else inf)
