"""What a report says. Values that are not known are null; so is the end of an interval that has none."""

from typing import Literal

from pydantic import BaseModel

from service.experiments.statistics.effects import Effect
from service.experiments.statistics.metrics import Direction, Kind, Role

Validity = Literal["at any time", "at the planned end"]


class Interval(BaseModel):
    """A value, or an effect; `high` is null where it has no upper end."""

    value: float
    low: float
    high: float | None

    @classmethod
    def of(cls, effect: Effect) -> "Interval":
        """The same."""
        return cls(value=effect.value, low=effect.low, high=None if effect.high == float("inf") else effect.high)

    @property
    def excludes_zero(self) -> bool:
        """Whether it does."""
        return self.low > 0 or (self.high is not None and self.high < 0)


class Result(BaseModel):
    """One metric of a treatment against control. With a `problem` nothing can be said yet, and it says why.

    uplift: relative to control (0.02 = 2 %). p_corrected: Holm's, over goals, or over goals and groups. detectable: the
    smallest uplift that as many users find in four of five experiments, at the planned end.
    """

    metric: str
    control: float | None = None
    treatment: float | None = None
    difference: Interval | None = None
    uplift: Interval | None = None
    p_value: float | None = None
    p_corrected: float | None = None
    detectable: float | None = None
    problem: str | None = None


class Value(BaseModel):
    """What a metric of one variant is, not adjusted, with its interval."""

    metric: str
    variant: str
    value: Interval


class Slice(BaseModel):
    """Results of some of the users, or of some of the time."""

    name: str
    control_users: int
    treatment_users: int
    results: list[Result]


class Quantile(BaseModel):
    """A quantile of users' values, by bootstrap."""

    metric: str
    probability: float
    control: float
    treatment: float
    difference: Interval
    p_value: float


class Novelty(BaseModel):
    """Whether a metric's uplift changes: `slope` a day, p-value of no slope, and of days that are all equal."""

    metric: str
    slope: Interval | None = None
    p_value: float | None = None
    days_differ: float | None = None
    problem: str | None = None


class Treatment(BaseModel):
    """A variant against control.

    overall: all users, adjusted by what they did before (CUPED) where that is known; unadjusted: the same without.
    groups: by the group of a user's first exposure. days: each complete day alone. through: days 1 to each as one, at
    the end too by intervals that hold at any time. novelty and quantiles are asked at the planned end only.
    """

    control: str
    variant: str
    decision: str
    because: list[str]
    overall: list[Result]
    unadjusted: list[Result]
    groups: list[Slice]
    days: list[Slice]
    through: list[Slice]
    novelty: list[Novelty]
    quantiles: list[Quantile]


class Arm(BaseModel):
    """What a variant got."""

    name: str
    bundle_id: str | None
    share: float
    users: int
    page_views: int
    clicks: int
    conversions: int


class Off(BaseModel):
    """A slice of the users that the variants did not share as they should."""

    cut: str
    piece: str
    p_value: float


class Split(BaseModel):
    """Did every variant get the users it was to get? `blocks`: nothing else in the report may be believed."""

    p_value: float
    blocks: bool
    off: list[Off]
    by_day: list[dict[str, int]]


class Declared(BaseModel):
    """A metric."""

    name: str
    kind: Kind
    numerator: str
    denominator: str | None
    role: Role
    better: Direction
    tolerance: float | None


class Report(BaseModel):
    """An experiment's present phase as it stands. Times are Unix seconds; the first variant is the control.

    valid: when p-values and intervals mean what they say. adjusted: whether anything is known of users' past.
    """

    experiment: str
    description: str
    phase: int
    started: float
    ends: float
    stopped: float | None
    until: float
    day: int
    days: int
    ended: bool
    valid: Validity
    level: float
    adjusted: bool
    metrics: list[Declared]
    variants: list[Arm]
    split: Split
    values: list[Value]
    treatments: list[Treatment]
