"""From posted events to the store: validate each, keep the good ones, say what became of every one."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from service.engine import Engine
from service.schemas import Event, EventResult
from service.stores.base import EventStatus, SequenceStore, StoredEvent, event_key
from service.telemetry import EVENTS

MICROSECONDS = 1_000_000
LATEST = 2**53  # microseconds; beyond it a store's numbers would no longer be exact


@dataclass(frozen=True)
class EventIntake:
    """Turns raw events into stored ones."""

    store: SequenceStore
    sequence_types: frozenset[str]
    future_tolerance: float  # seconds

    async def receive(self, raw: Sequence[object], engine: Engine | None) -> list[EventResult]:
        """One result an event, in order. Raises StoreUnavailableError: then none of them may be taken as stored."""
        horizon = (time.time() + self.future_tolerance) * MICROSECONDS
        checked = [self._check(entry, horizon) for entry in raw]
        arriving = [one for one in checked if isinstance(one, StoredEvent)]
        statuses = iter(await self.store.append(arriving) if arriving else [])
        results = [one if isinstance(one, EventResult) else _stored(next(statuses)) for one in checked]
        for entry, result in zip(raw, results, strict=True):
            if engine is not None and isinstance(entry, dict) and result.status not in ("invalid", "future"):
                result.known = engine.vocabulary.row(entry["item_id"]) is not None
            EVENTS.labels(result.status).inc()
        return results

    def _check(self, entry: object, horizon: float) -> StoredEvent | EventResult:
        """A well-formed event of a type that enters the sequence, or the result that ends its way here."""
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
        if event.type not in self.sequence_types:
            return EventResult(status="accepted", stored=False)
        identity = event.event_id or _identity(event, timestamp)
        return StoredEvent(event.user_id, event.item_id, timestamp, event_key(identity))


def _stored(status: EventStatus) -> EventResult:
    return EventResult(status=status.value, stored=status is not EventStatus.LATE)


def parse_timestamp(value: float | str) -> int:
    """Unix seconds, or RFC 3339 with an offset -> Unix microseconds. Raises ValueError."""
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value.upper())  # RFC 3339 allows t and z
        except ValueError as error:
            raise ValueError(f"timestamp: wanted RFC 3339 or Unix seconds, found {value!r}") from error
        if parsed.tzinfo is None:
            raise ValueError(f"timestamp: {value!r} has no offset; write 2026-01-01T12:00:00Z or +00:00")
        value = parsed.timestamp()
    if not 0 <= value < LATEST / MICROSECONDS:
        raise ValueError(f"timestamp: {value} seconds is out of range")
    return round(value * MICROSECONDS)


def _identity(event: Event, timestamp: int) -> str:
    """The default event_id: the same fact has the same id, however often it is sent."""
    fact = "\x1f".join((event.user_id, event.item_id, event.type, str(timestamp)))
    return hashlib.sha256(fact.encode()).hexdigest()
