"""Reports for whoever asks: one is built at a time, beside the requests, and kept for some seconds."""

import asyncio
import logging
import time
from pathlib import Path
from typing import NamedTuple

from service.errors import ConflictError, LogUnreadableError
from service.experiments.declarations import Experiment
from service.experiments.exposures import EXPOSURES
from service.experiments.report.contents import Report

log = logging.getLogger("intently")
KEPT_SECONDS = 10.0


class _Kept(NamedTuple):
    experiment: Experiment
    report: Report
    until: float  # of the monotonic clock


class Reports:
    """Of one worker."""

    def __init__(self, events: Path | None) -> None:
        """`events`: the directory of the event log, None without one."""
        self._events = events
        self._building = asyncio.Lock()
        self._kept: dict[str, _Kept] = {}

    async def of(self, experiment: Experiment) -> Report:
        """As of some seconds ago, at most. Raises ConflictError without an event log or a phase, LogUnreadableError."""
        if self._events is None:
            raise ConflictError(
                "no event log is kept here, so there is nothing to report: start with --events DIRECTORY"
            )
        async with self._building:
            now = time.monotonic()
            self._kept = {name: one for name, one in self._kept.items() if now < one.until}
            kept = self._kept.get(experiment.name)
            if kept is None or kept.experiment != experiment:
                report = await asyncio.to_thread(_built, experiment, self._events)
                kept = self._kept[experiment.name] = _Kept(experiment, report, time.monotonic() + KEPT_SECONDS)
            return kept.report


def _built(experiment: Experiment, events: Path) -> Report:
    """With one thread: requests are answered meanwhile."""
    import duckdb  # tens of megabytes, for workers that are asked

    from service.experiments.report.building import build_report

    try:
        return build_report(experiment, events / EXPOSURES, events, threads=1)
    except (duckdb.Error, OSError) as error:  # a day that is being removed, a disk that fails
        log.error("the report of %r cannot be built: %s", experiment.name, error)
        raise LogUnreadableError("the event log could not be read; the log says why, try again") from error
