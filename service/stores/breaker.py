"""A circuit breaker: after repeated failures, fail at once instead of waiting for the next timeout."""

import time
from collections.abc import Callable


class CircuitBreaker:
    """Opens after `failures` in a row; lets one call through every `retry_after` seconds until one succeeds."""

    def __init__(
        self,
        *,
        failures: int = 3,
        retry_after: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[bool], None] | None = None,
    ) -> None:
        """`changed` is told whenever it opens (True) or closes (False)."""
        self._changed = changed or (lambda is_open: None)
        self._allowed = failures
        self._retry_after = retry_after
        self._clock = clock
        self._failures = 0
        self._next_try = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are being refused, but for a trial now and then."""
        return self._failures >= self._allowed

    def admits(self) -> bool:
        """Whether a call may be made now; a trial call takes the place of all others until `retry_after` is over."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._next_try:
            return False
        self._next_try = now + self._retry_after
        return True

    def succeeded(self) -> None:
        """A call went well: close."""
        was_open, self._failures = self.is_open, 0
        if was_open:
            self._changed(False)

    def failed(self) -> None:
        """A call failed."""
        self._failures += 1
        if self._failures == self._allowed:
            self._next_try = self._clock() + self._retry_after
            self._changed(True)
