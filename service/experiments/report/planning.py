"""The variance that confidence sequences count on at the end: fixed by the first days, the same at every look."""

from collections.abc import Iterable

from service.experiments.declarations import DAY_SECONDS
from service.experiments.report.files import Connection
from service.experiments.report.judging import Pair
from service.experiments.report.period import Period
from service.experiments.report.sums import Sums, through
from service.experiments.statistics.confidence_sequence import accumulated
from service.experiments.statistics.estimates import estimates
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import TooLittleDataError

Segment = tuple[str, str, str | None]  # metric, treatment, group or all


def planned(
    connection: Connection,
    columns: tuple[str, ...],
    metrics: Iterable[Metric],
    variants: tuple[str, ...],
    groups: Iterable[str],
    period: Period,
    *,
    cuped: bool,
) -> dict[Segment, float]:
    """What had accumulated by the end of day 1, as often as there are days; a later day's where nothing varied by then.

    Only what had happened by the end of that day counts, so that late outcomes do not change it.
    """
    missing = {
        (one.name, variant, group): one for one in metrics for variant in variants[1:] for group in (None, *groups)
    }
    found: dict[Segment, float] = {}
    for day in range(1, period.passed + 1):
        sums = through(connection, columns, day, happened=period.started + day * DAY_SECONDS)[-1]
        found |= {
            segment: variance * period.days / day
            for segment, metric in missing.items()
            if (variance := so_far(metric, _pair(sums, variants[0], segment), cuped=cuped)) > 0
        }
        missing = {segment: one for segment, one in missing.items() if segment not in found}
        if not missing:
            break
    return found


def so_far(metric: Metric, pair: Pair, *, cuped: bool) -> float:
    """What has accumulated; 0 where nothing varies yet."""
    try:
        return accumulated(*estimates(metric, *pair, cuped=cuped))
    except TooLittleDataError:
        return 0.0


def _pair(sums: Sums, control: str, segment: Segment) -> Pair:
    _, treatment, group = segment
    return sums.of(control, group), sums.of(treatment, group)
