"""Moments -> results: by confidence sequences until the planned end, by fixed-horizon tests from then on."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from service.experiments.report.contents import Interval, Result
from service.experiments.statistics.comparison import compare
from service.experiments.statistics.confidence_sequence import watch
from service.experiments.statistics.effects import Comparison, Effect
from service.experiments.statistics.estimates import Estimate
from service.experiments.statistics.holm import holm
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments, TooLittleDataError
from service.experiments.statistics.planner import Design, baseline, detectable
from service.experiments.statistics.values import at_any_time, at_the_end

TOO_EARLY = "the first look is a day after the start, if values vary by then"
Pair = tuple[Moments, Moments]  # control, treatment
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Judge:
    """ended: whether fixed-horizon tests may be asked. tests: treatments that are compared, Bonferroni's divisor."""

    ended: bool
    alpha: float
    tests: int
    shares: tuple[float, float]  # of the two variants' users

    @property
    def level(self) -> float:
        """Of intervals."""
        return 1 - self.alpha / self.tests

    def compare(self, metric: Metric, pair: Pair, planned: float | None, *, cuped: bool) -> Comparison:
        """`planned`: of `watch`. Raises TooLittleDataError, without a plan too."""
        if self.ended:
            return compare(metric, *pair, cuped=cuped, level=self.level)
        if planned is None:
            raise TooLittleDataError(TOO_EARLY)
        return watch(metric, *pair, planned=planned, cuped=cuped, level=self.level)

    def value(self, found: Estimate, planned: float | None, share: float) -> Effect:
        """Of one variant, which has that share of the two. Raises as `compare` does."""
        if self.ended:
            return at_the_end(found, level=self.level)
        if planned is None:
            raise TooLittleDataError(TOO_EARLY)
        return at_any_time(found, planned=planned, share=share, level=self.level)

    def result(self, metric: Metric, pair: Pair, planned: float | None, *, cuped: bool) -> Result:
        """Of `compare`, or why there is none."""
        try:
            found = self.compare(metric, pair, planned, cuped=cuped)
        except TooLittleDataError as error:
            return Result(metric=metric.name, problem=str(error))
        return Result(
            metric=metric.name,
            control=found.control,
            treatment=found.treatment,
            difference=Interval.of(found.absolute),
            uplift=None if found.relative is None else Interval.of(found.relative),
            p_value=found.p_value,
            detectable=self._detectable(metric, pair, cuped=cuped),
        )

    def corrected(self, results: Mapping[Key, Result]) -> dict[Key, Result]:
        """With Holm's p-values over all of them, and over treatments."""
        known = {key: one.p_value for key, one in results.items() if one.p_value is not None}
        p_values = {key: min(1.0, self.tests * p_value) for key, p_value in holm(known).items()}
        return {key: one.model_copy(update={"p_corrected": p_values.get(key)}) for key, one in results.items()}

    def _detectable(self, metric: Metric, pair: Pair, *, cuped: bool) -> float | None:
        base = baseline(metric, pair[0] + pair[1], cuped=cuped)
        design = Design(self.alpha / self.tests, shares=self.shares)
        return detectable(base, base.users, design) if base.value else None
