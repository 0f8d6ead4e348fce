"""When something happened, as clients say it."""

import time
from datetime import datetime

from service.errors import TimestampError

MICROSECONDS = 1_000_000
LATEST = 2**53  # microseconds; beyond it a store's numbers would no longer be exact


def parse_timestamp(value: float | str) -> int:
    """Unix seconds, or RFC 3339 with an offset -> Unix microseconds. Raises ValueError."""
    found = seconds(value)
    if not 0 <= found < LATEST / MICROSECONDS:
        raise ValueError(f"timestamp: {found} seconds is out of range")
    return round(found * MICROSECONDS)


def seconds(value: float | str) -> float:
    """Unix seconds, whenever it was. Raises ValueError for what is no time."""
    if not isinstance(value, str):
        return value
    try:
        parsed = datetime.fromisoformat(value.upper())  # RFC 3339 allows t and z
    except ValueError as error:
        raise ValueError(f"timestamp: wanted RFC 3339 or Unix seconds, found {value!r}") from error
    if parsed.tzinfo is None:
        raise ValueError(f"timestamp: {value!r} has no offset; write 2026-01-01T12:00:00Z or +00:00")
    return parsed.timestamp()


def readable(value: str) -> str:
    """The same. Raises ValueError for what is no time."""
    seconds(value)
    return value


def check_time(value: float | str, tolerance: float) -> None:
    """Raises TimestampError unless it lies between 1970 and `tolerance` seconds ahead of the clock."""
    try:
        found = parse_timestamp(value)
    except ValueError as error:
        raise TimestampError(str(error)) from error
    if found > (time.time() + tolerance) * MICROSECONDS:
        raise TimestampError("timestamp lies ahead of the server's clock")


def moment(said: float | str | None, now: float) -> float:
    """Unix seconds of what a request says, or now where it says nothing. Raises ValueError."""
    return now if said is None else parse_timestamp(said) / MICROSECONDS
