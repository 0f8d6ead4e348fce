"""Every list that was made by a variant leaves an exposure, before its user has it."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from service.experiments.activity import Activity
from service.experiments.assignment import Assigned
from service.experiments.exposures import entry
from service.schemas import RecommendationRequest
from service.spool import Spool
from service.telemetry import DropReason, exposures, exposures_dropped
from service.timestamps import moment

log = logging.getLogger("intently")


class Shown(NamedTuple):
    """A list of somebody who is in at least one experiment."""

    request: RecommendationRequest
    user_id: str
    stored_events: int | None  # None while the store is away
    assigned: Sequence[Assigned]
    answer: bytes  # members of `answers.shown_json`


class Exposing:
    """Into the buffer of the event log, by way of a spool. Answers do not fail with it: then exposures are dropped."""

    def __init__(self, spool: Spool | None, activity: Activity) -> None:
        """`spool`: None where there is no event log."""
        self._spool = spool
        self.activity = activity
        self.full = False  # the event log's writer is too far behind

    def record(self, shown: Sequence[Shown]) -> None:
        """They outlive this process once this returns, or are dropped and counted."""
        counts = Counter([(its.experiment, its.variant) for one in shown for its in one.assigned])
        if reason := self._dropped(shown):
            exposures_dropped(reason).inc(counts.total())
            return
        for (experiment, variant), count in counts.items():
            exposures(experiment, variant).inc(count)

    def _dropped(self, shown: Sequence[Shown]) -> DropReason | None:
        if self._spool is None:
            return "no_log"
        if self.full:
            return "full"
        now = time.time()
        try:
            return None if self._spool.keep(b"".join([self._entry(one, now) for one in shown])) else "full"
        except OSError as error:
            log.error("exposures cannot be kept: %s", error)
            return "disk"

    def _entry(self, shown: Shown, now: float) -> bytes:
        stored = shown.stored_events
        return entry(
            shown.answer,
            shown.assigned,
            user_id=shown.user_id,
            user_group=None if stored is None else self.activity.group(stored),
            stored_events=stored,
            attributes=shown.request.attributes,
            timestamp=moment(shown.request.timestamp, now),
            received=now,
        )
