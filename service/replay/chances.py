"""What is drawn for each held-out interaction: by its place alone, so that every variant meets the same user."""

from hashlib import sha256
from typing import NamedTuple

PRECISION = 1 << 64


class Chances(NamedTuple):
    """Uniform in [0, 1), independent of each other."""

    arrival: float
    click: float
    conversion: float


def chances(seed: int, user_id: str, position: int) -> Chances:
    """The same for the same user and position, whatever is shown, in whichever run: 8 bytes of SHA-256 each."""
    digest = sha256(f"{seed}:{position}:{user_id}".encode()).digest()
    return Chances(*(int.from_bytes(digest[at : at + 8], "big") / PRECISION for at in (0, 8, 16)))
