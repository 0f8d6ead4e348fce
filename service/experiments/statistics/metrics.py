"""What an experiment is judged by: ratios, proportions and means over users."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["ratio", "proportion", "mean"]
Role = Literal["goal", "guardrail"]
Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Metric:
    """One metric; the unit is the user, whatever it counts.

    ratio: sum of `numerator` / sum of `denominator` over users (page-view click rate = clicks / page_views).
    proportion: share of users with at least one `numerator` (user click rate).  mean: `numerator` a user.
    better: which direction is wanted.  tolerance: how much worse, relative to control, a guardrail may be (0.01 = 1 %).
    """

    name: str
    kind: Kind
    numerator: str
    denominator: str | None = None
    role: Role = "goal"
    better: Direction = "up"
    tolerance: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a declaration that means nothing."""
        if (self.denominator is not None) != (self.kind == "ratio"):
            raise ValueError(f"{self.name}: a ratio has a denominator, nothing else has; found {self.denominator!r}")
        if (self.tolerance is not None) != (self.role == "guardrail"):
            raise ValueError(f"{self.name}: a guardrail has a tolerance, a goal has none; found {self.tolerance!r}")
        if self.tolerance is not None and not 0 < self.tolerance < 1:
            raise ValueError(f"{self.name}: tolerance must lie between 0 and 1, found {self.tolerance}")

    @property
    def top(self) -> str:
        """The column of a user's numerator: a proportion counts users, so its column is 0 or 1."""
        return f"any_{self.numerator}" if self.kind == "proportion" else self.numerator

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that its moments need."""
        return (self.top,) if self.denominator is None else (self.top, self.denominator)

    @property
    def covariates(self) -> tuple[str, ...]:
        """The columns CUPED needs beside them: the same totals of the time before the experiment, 0 for the new."""
        return tuple(before(column) for column in self.columns)


def before(column: str) -> str:
    """The column of the look-back."""
    return f"before_{column}"


def on_day(column: str, day: int) -> str:
    """The column of one day."""
    return f"{column}@{day}"
