"""What a worker remembers of users, and for how long."""

import pytest

from service.last_intents import LastIntents


def test_an_intent_is_remembered_for_its_bundle_only() -> None:
    memory = LastIntents()
    memory.remember("u", "bundle-1", 7)
    assert (memory.of("u", "bundle-1"), memory.of("u", "bundle-2"), memory.of("v", "bundle-1")) == (7, None, None)
    memory.remember("u", "bundle-1", 8)
    assert memory.of("u", "bundle-1") == 8
    memory.forget("u")
    assert memory.of("u", "bundle-1") is None


def test_it_is_forgotten_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """For 10 seconds up to 20, whatever is asked meanwhile."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    memory = LastIntents(seconds=10)
    memory.remember("u", "bundle", 1)
    now = 110.0
    assert memory.of("u", "bundle") == 1
    now = 120.0
    assert memory.of("u", "bundle") is None


def test_nothing_outlives_a_long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    memory = LastIntents(seconds=10)
    memory.remember("u", "bundle", 1)
    now = 1000.0
    assert memory.of("u", "bundle") is None


def test_memory_is_bounded() -> None:
    """Of 10 users with 2 places twice, the last are remembered, the first are not."""
    memory = LastIntents(users=2)
    for user in range(10):
        memory.remember(str(user), "bundle", user)
    known = [user for user in range(10) if memory.of(str(user), "bundle") is not None]
    assert 2 <= len(known) <= 4
    assert known[-1] == 9
