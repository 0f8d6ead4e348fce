"""An entry of the buffer: one JSON object a line, an event or the erasure of a user."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import orjson


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An accepted event, whether its type enters the sequence or not."""

    event_id: str
    user_id: str
    item_id: str
    type: str
    timestamp: float  # Unix seconds
    value: float | None
    recommendation_id: str | None
    received: float  # Unix seconds


@dataclass(frozen=True, slots=True)
class Erasure:
    """Nothing received of this user until then may remain."""

    user_id: str
    received: float  # Unix seconds


def encoded(entries: Iterable[LoggedEvent | Erasure]) -> bytes:
    """As the buffer holds them; empty for none."""
    return b"".join(
        orjson.dumps({"erase": one.user_id, "received": one.received} if isinstance(one, Erasure) else asdict(one))
        + b"\n"
        for one in entries
    )


def decoded(content: bytes) -> list[LoggedEvent | Erasure]:
    """Raises ValueError for what `encoded` did not write."""
    entries: list[LoggedEvent | Erasure] = []
    for line in content.splitlines():
        found = orjson.loads(line)
        try:
            if "erase" in found:
                entries.append(Erasure(found["erase"], found["received"]))
            else:
                entries.append(LoggedEvent(**found))
        except (TypeError, KeyError) as error:
            raise ValueError(f"not an entry of the event log: {error}") from error
    return entries
