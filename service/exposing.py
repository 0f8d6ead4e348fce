"""Every list that was made by a variant leaves an exposure, before its user has it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from service.experiments.activity import Activity
from service.experiments.assignment import Assigned
from service.experiments.exposures import entry
from service.schemas import RecommendationRequest
from service.store_errors import store_failed
from service.stores.base import SequenceStore, StoreUnavailableError
from service.telemetry import DropReason, exposures, exposures_dropped, stage_times
from service.timestamps import moment

SECONDS = 1.0  # an answer waits for its exposure


class Shown(NamedTuple):
    """A list of somebody who is in at least one experiment."""

    request: RecommendationRequest
    user_id: str
    stored_events: int
    assigned: Sequence[Assigned]
    answer: bytes


class Exposing:
    """Into the buffer of the event log, one write a batch. Answers do not fail with it: then exposures are dropped."""

    def __init__(self, store: SequenceStore, activity: Activity, *, kept: bool) -> None:
        """`kept`: whether there is an event log."""
        self._store = store
        self.activity = activity
        self._kept = kept
        self.full = False  # the event log's writer is too far behind

    def record(self, shown: Sequence[Shown], *, away: bool) -> Awaitable[None] | None:
        """Begun at once; once it is awaited, they are buffered, or dropped and counted: None where they were dropped.

        `away`: the store has just not answered.
        """
        if reason := self._reason(away):
            exposures_dropped(reason).inc(sum(len(one.assigned) for one in shown))
            return None
        now = time.time()
        return self._kept_once(self._store.log(b"".join([self._entry(one, now) for one in shown])), shown)

    async def _kept_once(self, written: Awaitable[None], shown: Sequence[Shown]) -> None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(SECONDS):
                await written
        except (StoreUnavailableError, TimeoutError) as error:
            store_failed("expose", error)
            exposures_dropped("store").inc(sum(len(one.assigned) for one in shown))
            return
        stage_times("expose").observe(time.perf_counter() - began)
        for its, count in Counter([its for one in shown for its in one.assigned]).items():
            exposures(its.experiment, its.variant).inc(count)

    def _reason(self, away: bool) -> DropReason | None:
        if not self._kept:
            return "no_log"
        if away:
            return "store"
        return "full" if self.full else None

    def _entry(self, shown: Shown, now: float) -> bytes:
        return entry(
            shown.answer,
            shown.assigned,
            user_id=shown.user_id,
            user_group=self.activity.group(shown.stored_events),
            stored_events=shown.stored_events,
            attributes=shown.request.attributes,
            timestamp=moment(shown.request.timestamp, now),
            received=now,
        )
