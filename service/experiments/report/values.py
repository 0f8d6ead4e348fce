"""What each variant's metrics are, as they were counted."""

from collections.abc import Iterator
from contextlib import suppress

from service.experiments.report.contents import Interval, Value
from service.experiments.report.judging import Judge
from service.experiments.report.treatments import Material
from service.experiments.statistics.estimates import estimates
from service.experiments.statistics.moments import TooLittleDataError


def values_of(its: Material, judge: Judge, variants: tuple[str, str]) -> Iterator[Value]:
    """Of control and a treatment, where something is known yet. Not adjusted, for nothing is compared."""
    pair = its.looks[-1].of(variants[0]), its.looks[-1].of(variants[1])
    for metric in its.metrics:
        planned = its.planned.get((metric.name, variants[1], None))
        with suppress(TooLittleDataError):
            for variant, share, found in zip(variants, judge.shares, estimates(metric, *pair), strict=True):
                value = Interval.of(judge.value(found, planned, share))
                yield Value(metric=metric.name, variant=variant, value=value)
