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


@pytest.mark.parametrize(("later", "known"), [([109], 1), ([110], 1), ([110, 120], None), ([1000], None)])
def test_it_is_forgotten_with_time(later: list[int], known: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remembered at 100 for 10 seconds up to 20, whatever is asked meanwhile, and however long the silence."""
    clock = [100]
    monkeypatch.setattr("time.monotonic", lambda: clock[-1])
    memory = LastIntents(seconds=10)
    memory.remember("u", "bundle", 1)
    found = []
    for moment in later:
        clock.append(moment)
        found.append(memory.of("u", "bundle"))
    assert found[-1] == known


def test_memory_is_bounded() -> None:
    """Of 10 users with 2 places twice, the last are remembered, the first are not."""
    memory = LastIntents(users=2)
    for user in range(10):
        memory.remember(str(user), "bundle", user)
    known = [user for user in range(10) if memory.of(str(user), "bundle") is not None]
    assert 2 <= len(known) <= 4
    assert known[-1] == 9
