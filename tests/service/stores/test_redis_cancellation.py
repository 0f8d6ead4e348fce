"""No connection carries one user's reply to another's question."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from service.stores.base import StoredEvent, StoreUnavailableError
from service.stores.breaker import CircuitBreaker
from service.stores.redis import RedisStore
from service.stores.redis_client import redis_client
from tests.service.redis_servers import asked

NEVER_OPENS = 10**9
TIMEOUTS = (1.0, 0.003, 0.001, 0.0004)  # seconds: calls run out of time never, seldom, often, almost always


class Crowd:
    """Callers who ask for users whose one item_id is their user_id, and count how it ended."""

    def __init__(self, stores: list[RedisStore]) -> None:
        prefix = uuid4().hex
        self.names = [f"{prefix}-{number}" for number in range(50)]
        self.stores = stores
        self.chance = random.Random(1)
        self.seen: Counter[str] = Counter()

    async def ask(self) -> None:
        """One call for a few users over any of the stores."""
        store = self.chance.choice(self.stores)
        names = self.chance.sample(self.names, self.chance.randint(1, 5))
        try:
            found = await store.recent_many(names)
        except asyncio.CancelledError:
            self.seen["cancelled"] += 1
        except StoreUnavailableError:
            self.seen["out of time"] += 1
        else:
            self.seen["answered"] += 1
            assert [[interaction.item_id for interaction in sequence] for sequence in found] == [[n] for n in names]

    async def ask_together(self) -> None:
        """Twenty calls, ten of them cancelled at different moments."""
        asking = [asyncio.create_task(self.ask()) for _ in range(20)]
        await asyncio.sleep(0)
        for task in asking[::2]:
            await asyncio.sleep(self.chance.choice([0, 0, 0.0002]))
            task.cancel()
        await asyncio.gather(*asking)


@pytest.fixture(params=["redis", "cluster"])
def server_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def crowd(server_url: str) -> AsyncIterator[Crowd]:
    stores = [
        RedisStore(
            redis_client(server_url, timeout=timeout),
            stored_events=200,
            timeout=timeout,
            breaker=CircuitBreaker(failures=NEVER_OPENS),
        )
        for timeout in TIMEOUTS
    ]
    yield Crowd(stores)
    for store in stores:
        await store.close()


async def test_after_a_thousand_cancellations_every_reply_belongs_to_its_user(crowd: Crowd, server_url: str) -> None:
    """The servers pause now and then, so that replies also arrive long after their call was given up."""
    ports = [int(port) for port in re.findall(r":(\d+)", server_url)]
    await crowd.stores[0].append([StoredEvent(name, name, 1, 1) for name in crowd.names])
    while crowd.seen["cancelled"] < 1000:
        if crowd.chance.random() < 0.2:
            asked(crowd.chance.choice(ports), "CLIENT", "PAUSE", 2)  # milliseconds
        await crowd.ask_together()
    assert crowd.seen["answered"] >= 500, crowd.seen
    assert crowd.seen["out of time"] >= 50, crowd.seen
