"""What is still known of a user while the store is away."""

import time


class LastIntents:
    """The strongest intent of users who were answered lately, in this process, for `seconds` up to twice as long.

    Bounded: at most 2 x `users` are remembered. It only improves the fallback, so no process misses another's.
    """

    def __init__(self, *, users: int = 50_000, seconds: float = 900.0) -> None:
        self._users = users
        self._seconds = seconds
        self._turn = time.monotonic() + seconds
        self._young: dict[str, tuple[str, int]] = {}
        self._old: dict[str, tuple[str, int]] = {}

    def remember(self, user_id: str, bundle_id: str, intent_id: int) -> None:
        """An intent means something only together with its bundle."""
        self._age()
        self._young[user_id] = (bundle_id, intent_id)

    def of(self, user_id: str, bundle_id: str) -> int | None:
        """The intent_id in this bundle, None for a user who was not answered from it lately."""
        self._age()
        known = self._young.get(user_id) or self._old.get(user_id)
        return known[1] if known is not None and known[0] == bundle_id else None

    def forget(self, user_id: str) -> None:
        """Nothing is known any more."""
        self._young.pop(user_id, None)
        self._old.pop(user_id, None)

    def _age(self) -> None:
        now = time.monotonic()
        if now >= self._turn + self._seconds:
            self._young = {}
        if now >= self._turn or len(self._young) >= self._users:
            self._old, self._young = self._young, {}
            self._turn = now + self._seconds
