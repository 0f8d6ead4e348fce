"""What the service knows of a user: what came before the replay, and how far an earlier run of it had come."""

from dataclasses import dataclass
from datetime import datetime

from service.client import Client
from service.timestamps import MICROSECONDS


@dataclass(frozen=True)
class Past:
    """Item ids before the replay, oldest first, and the newest stored moment (Unix seconds; before all without one)."""

    items: list[str]
    newest: float


def past_of(client: Client, user_id: str, start: float) -> Past:
    """By asking for the stored sequence. Raises ClientError."""
    stored = [(one.item_id, _seconds(one.timestamp)) for one in client.user(user_id).interactions]
    return Past([item_id for item_id, at in stored if at < start], max((at for _, at in stored), default=-1.0))


def _seconds(timestamp: str) -> float:
    return round(datetime.fromisoformat(timestamp).timestamp() * MICROSECONDS) / MICROSECONDS
