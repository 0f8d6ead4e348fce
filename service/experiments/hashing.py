"""Who falls where: hash version 1, which the conformance file publishes."""

from hashlib import sha256
from typing import Literal

HASH_VERSION: Literal[1] = 1
BUCKETS = 10_000


def bucket(salt: str, user_id: str) -> int:
    """0 .. 9,999, as good as drawn for each salt anew: 8 bytes of SHA-256, big endian, mod 10,000."""
    return int.from_bytes(sha256(f"{salt}:{user_id}".encode()).digest()[:8], "big") % BUCKETS
