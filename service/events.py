"""From posted events to the store: validate each, keep the good ones, say what became of every one."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError

from service.engine import Engine
from service.errors import OverloadedError
from service.event_log.entries import Erasure, LoggedEvent, encoded
from service.recent_posts import RecentPosts
from service.schemas import Event, EventResult
from service.stores.base import EventStatus, SequenceStore, StoredEvent, event_key
from service.telemetry import EVENTS
from service.timestamps import MICROSECONDS, parse_timestamp


class _Checked(NamedTuple):
    """A well-formed event whose time has come."""

    event: Event
    timestamp: int  # Unix microseconds
    event_id: str


@dataclass
class EventIntake:
    """Turns raw events into stored ones."""

    store: SequenceStore
    sequence_types: frozenset[str]
    future_tolerance: float  # seconds
    posts: RecentPosts | None = None  # where an event log is kept
    log_full: bool = False  # its writer is too far behind

    async def receive(self, raw: Sequence[object], engine: Engine | None) -> list[EventResult]:
        """One result an event, in order.

        Raises StoreUnavailableError, OverloadedError: then none of them may be taken as stored.
        """
        if self.log_full:
            raise OverloadedError("the event log's writer is behind; send the same events again")
        now = time.time()
        checked = [self._check(entry, (now + self.future_tolerance) * MICROSECONDS) for entry in raw]
        good = [one for one in checked if isinstance(one, _Checked)]
        arriving = [_stored(one) for one in good if one.event.type in self.sequence_types]
        logged = encoded(_logged(one, now) for one in good) if self.posts is not None else b""
        statuses = iter(await self.store.append(arriving, logged) if good else [])
        self._keep(logged)
        results = [one if isinstance(one, EventResult) else self._result(one, statuses) for one in checked]
        for entry, result in zip(raw, results, strict=True):
            if engine is not None and isinstance(entry, dict) and result.status not in ("invalid", "future"):
                result.known = engine.vocabulary.row(entry["item_id"]) is not None
            EVENTS.labels(result.status).inc()
        return results

    async def erase(self, user_id: str) -> bool:
        """Forget a user, in the event log too; whether there was a sequence. Raises StoreUnavailableError."""
        logged = encoded([Erasure(user_id, time.time())]) if self.posts is not None else b""
        known = await self.store.erase(user_id, logged)
        self._keep(logged)
        return known

    def _keep(self, logged: bytes) -> None:
        if logged and self.posts is not None:
            self.posts.keep(logged)

    def _result(self, checked: _Checked, statuses: Iterator[EventStatus]) -> EventResult:
        if checked.event.type not in self.sequence_types:
            return EventResult(status="accepted", stored=False)
        status = next(statuses)
        return EventResult(status=status.value, stored=status is not EventStatus.LATE)

    @staticmethod
    def _check(entry: object, horizon: float) -> _Checked | EventResult:
        """A well-formed event whose time has come, or the result that ends its way here."""
        try:
            event = Event.model_validate(entry)
            timestamp = parse_timestamp(event.timestamp)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = f"{first['loc'][0]}: " if first["loc"] else ""
            return EventResult(status="invalid", stored=False, reason=f"{place}{first['msg']}")
        except ValueError as error:
            return EventResult(status="invalid", stored=False, reason=str(error))
        if timestamp > horizon:
            return EventResult(status="future", stored=False, reason="timestamp lies ahead of the server's clock")
        return _Checked(event, timestamp, _event_id(event, timestamp))


def _event_id(event: Event, timestamp: int) -> str:
    return event.event_id or identity(event.user_id, event.item_id, event.type, timestamp)


def _stored(checked: _Checked) -> StoredEvent:
    event = checked.event
    return StoredEvent(event.user_id, event.item_id, checked.timestamp, event_key(checked.event_id))


def _logged(checked: _Checked, now: float) -> LoggedEvent:
    event, seconds = checked.event, checked.timestamp / MICROSECONDS
    who = (checked.event_id, event.user_id, event.item_id, event.type)
    return LoggedEvent(*who, seconds, event.value, event.recommendation_id, now)


def identity(user_id: str, item_id: str, kind: str, timestamp: int) -> str:
    """The default event_id: the same fact has the same id, however often it is sent. `timestamp` in microseconds."""
    return hashlib.sha256("\x1f".join((user_id, item_id, kind, str(timestamp))).encode()).hexdigest()
