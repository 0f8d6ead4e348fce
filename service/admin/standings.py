"""How running experiments stand, for Prometheus: worked out from their files by the replica that writes these."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.control import Control
from service.experiments.report.contents import Interval, Report
from service.experiments.report.keeper import Reports
from service.shared_document import SharedDocument

log = logging.getLogger("intently")
BOUNDED = ("experiment", "variant", "metric", "bound")  # labels of what has an interval
RESTS = 20.0  # times as long as it worked, so that it takes a twentieth of a core at most


class Standings:
    """Reports of all running experiments, and series of them."""

    def __init__(self, control: SharedDocument[Control], reports: Reports, writes: Callable[[], bool]) -> None:
        """`writes`: whether this replica writes the event log now; without doing so it shows nothing."""
        self._control = control
        self._reports = reports
        self._writes = writes
        self._known: list[Report] = []

    async def run(self, seconds: float) -> None:
        """For ever, every `seconds` or more rarely."""
        took = 0.0
        while True:
            await asyncio.sleep(max(seconds, RESTS * took))
            began = time.monotonic()
            await self.refresh()
            took = time.monotonic() - began

    async def refresh(self) -> None:
        """Read the files."""
        self._known = await self._built() if self._writes() else []

    async def _built(self) -> list[Report]:
        decided = await self._control.poll()
        found = []
        for experiment in decided.experiments:
            if experiment.state == "running":
                try:
                    found.append(await self._reports.of(experiment))
                except Exception as error:  # DuckDB, the disk: the next time is soon
                    log.warning("it is not known how experiment %r stands: %s", experiment.name, error)
        return found

    def collect(self) -> Iterator[Metric]:
        """As a collector of prometheus_client."""
        known = self._known
        yield _outcomes(known)
        yield _users(known)
        yield _sample_ratio(known)
        yield _values(known)
        yield _uplifts(known)


def _outcomes(reports: Iterable[Report]) -> Metric:
    family = CounterMetricFamily(
        "intently_outcomes", "Clicks and conversions that count, in files.", labels=["experiment", "variant", "type"]
    )
    for report in reports:
        for arm in report.variants:
            family.add_metric([report.experiment, arm.name, "click"], arm.clicks)
            family.add_metric([report.experiment, arm.name, "conversion"], arm.conversions)
    return family


def _users(reports: Iterable[Report]) -> Metric:
    family = GaugeMetricFamily(
        "intently_experiment_users", "Users of the present phase, in files.", labels=["experiment", "variant"]
    )
    for report in reports:
        for arm in report.variants:
            family.add_metric([report.experiment, arm.name], arm.users)
    return family


def _sample_ratio(reports: Iterable[Report]) -> Metric:
    family = GaugeMetricFamily(
        "intently_experiment_sample_ratio_p_value", "That variants got their share of the users.", labels=["experiment"]
    )
    for report in reports:
        family.add_metric([report.experiment], report.split.p_value)
    return family


def _values(reports: Iterable[Report]) -> Metric:
    help_text = "A metric, by variant: estimate, low and high end of its interval."
    family = GaugeMetricFamily("intently_experiment_value", help_text, labels=BOUNDED)
    for report in reports:
        for one in report.values:
            _add(family, (report.experiment, one.variant, one.metric), one.value)
    return family


def _uplifts(reports: Iterable[Report]) -> Metric:
    help_text = "Of a metric, relative to control: estimate, low and high end of its interval."
    family = GaugeMetricFamily("intently_experiment_uplift", help_text, labels=BOUNDED)
    for report in reports:
        for one in report.treatments:
            for result in one.overall:
                if result.uplift is not None:
                    _add(family, (report.experiment, one.variant, result.metric), result.uplift)
    return family


def _add(family: GaugeMetricFamily, labels: Iterable[str], its: Interval) -> None:
    for bound, value in {"estimate": its.value, "low": its.low, "high": inf if its.high is None else its.high}.items():
        family.add_metric([*labels, bound], value)
