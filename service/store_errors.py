"""Calls that the store did not answer: every one is counted, and now and then the log says why."""

import logging
import time

from service.telemetry import STORE_ERRORS

log = logging.getLogger("intently")
EVERY = 10.0  # seconds between two lines about one operation
_said: dict[str, float] = {}


def store_failed(operation: str, error: Exception) -> None:
    """The store did not answer an `operation` (STORE_OPERATIONS); `error` names no user."""
    STORE_ERRORS.labels(operation).inc()
    now = time.monotonic()
    if now - _said.get(operation, -EVERY) >= EVERY:
        _said[operation] = now
        log.warning("the store did not answer (%s): %s", operation, error)
