"""The state of a user depends only on the set of events received."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.stores.base import Interaction, SequenceStore, StoredEvent

OpenStore = Callable[..., SequenceStore]
LIMIT = 3
FRESH = count()
RUN = uuid4().hex

# Few keys and timestamps: ties, evictions and conflicting versions of one event are the rule, not the exception.
facts = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 6), st.sampled_from(["a", "b", "ab", "B", "é", ""])), max_size=10
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[tuple[int, int, str]], list[list[tuple[int, int, str]]]]:
    """A set of (key, timestamp, item_id), and one way it may arrive: repeated, permuted, in batches of any size."""
    told = draw(facts)
    repeated = told + (draw(st.lists(st.sampled_from(told), max_size=6)) if told else [])
    order = draw(st.permutations(repeated))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return told, [order[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(order)], strict=True)]


def newest(told: list[tuple[int, int, str]]) -> list[Interaction]:
    """The law, word by word."""
    versions: dict[int, tuple[int, str]] = {}
    for key, timestamp, item in told:
        versions[key] = max(versions.get(key, (timestamp, item)), (timestamp, item))
    ordered = sorted((timestamp, key, item) for key, (timestamp, item) in versions.items())
    return [Interaction(item, timestamp) for timestamp, _, item in ordered[-LIMIT:]]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivery=deliveries())
async def test_any_delivery_of_a_set_of_events_leaves_its_state(
    opened: OpenStore,
    redis_url: str,
    tmp_path: Path,
    delivery: tuple[list[tuple[int, int, str]], list[list[tuple[int, int, str]]]],
) -> None:
    """On both stores, which also say the same of every event."""
    told, batches = delivery
    user = f"law-{RUN}-{next(FRESH)}"
    stores = [opened(url, stored_events=LIMIT) for url in (f"sqlite:///{tmp_path / 'law.sqlite3'}", redis_url)]
    said = []
    for store in stores:
        events = [[StoredEvent(user, item, at, key) for key, at, item in batch] for batch in batches]
        said.append([await store.append(batch) for batch in events])
        assert await store.recent_many([user]) == [newest(told)]
        await store.close()
    assert said[0] == said[1]
