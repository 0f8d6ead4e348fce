"""Users whose items nobody else has, asked about all the time: what fails, what is lost, whose ids come back."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
from asking import Connection, Reply

ITEMS_EACH = 4  # of the catalogue, so that the model answers
POSTED = 3  # events a post
Asking = Callable[[int, Connection], Awaitable[None]]  # the connection and its number
PATIENCE = 10.0  # seconds after which a request counts as one that got no answer
ASK, POST, READ, LOOK_UP = "ask", "post", "read", "look up"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request."""

    kind: str
    connection: int
    was_open: bool  # the connection had answered before
    began: float  # time.perf_counter
    seconds: float
    status: int  # 0: no answer
    degraded: bool

    @property
    def ended(self) -> float:
        """time.perf_counter."""
        return self.began + self.seconds

    @property
    def is_whole(self) -> bool:
        """Answered, and as if nothing were wrong."""
        return self.status == 200 and not self.degraded


class Crowd:
    """`asking` connections want recommendations, two post events, one reads what is stored, one looks up intents."""

    def __init__(
        self, port: int, item_ids: Sequence[str], *, users: int = 200, asking: int = 12, interval: float = 0.02,
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Each connection asks every `interval` seconds, or else as soon as it has its answer."""
        self.outcomes: list[Outcome] = []
        self.accepted: defaultdict[str, list[str]] = defaultdict(list)  # item ids by user
        self.statuses: Counter[str] = Counter()  # of events
        self.foreign = 0  # answers that carried another user's ids
        self.bundles: set[str] = set()  # that answered
        self.posting = True
        self.interval = interval
        self.headers = headers  # others are for the requests to come
        self.users = [f"u{number}" for number in range(users)]
        self._known = {
            user: frozenset(item_ids[number * ITEMS_EACH : (number + 1) * ITEMS_EACH])
            for number, user in enumerate(self.users)
        }
        self._port, self._asking = port, asking
        self._chance = random.Random(1)
        self._posted = 0
        self._done = False

    @property
    def connections(self) -> int:
        """How many ask, for now."""
        return self._asking + 2 * self.posting + 2

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Each user has done something; then they ask until the block ends, and what is under way is waited for."""
        await self._seed()
        kinds = [self._ask] * self._asking + [self._post] * 2 + [self._read, self._look_up]
        tasks = [asyncio.create_task(self._keep_on(one, number)) for number, one in enumerate(kinds)]
        try:
            yield
        finally:
            self._done = True
            await asyncio.gather(*tasks)

    def event(self, user: str, item_id: str | None = None) -> dict[str, object]:
        """What the user does next: something with an item nobody else ever had."""
        self._posted += 1
        return {"user_id": user, "item_id": item_id or f"{user}-{self._posted}", "timestamp": time.time()}

    def question(self, kind: str, user: str) -> tuple[str, str, bytes]:
        """Method, path and body."""
        if kind == READ:
            return "GET", f"/v1/users/{user}", b""
        if kind == ASK:
            return "POST", "/v1/recommendations", orjson.dumps({"user_id": user, "k": 10, "reasons": True})
        if kind == LOOK_UP:
            return "POST", "/v1/intents/lookup", orjson.dumps({"user_id": user, "top": 3})
        return "POST", "/v1/events", orjson.dumps({"events": [self.event(user)]})

    async def lost(self) -> int:
        """Accepted events that are not stored. Fewer are accepted of a user than are kept."""
        connection, lost = self.connection(), 0
        for user in self.users:
            while (reply := await connection.ask(*self.question(READ, user))).status != 200:
                await asyncio.sleep(0.1)
            lost += len(set(self.accepted[user]) - _item_ids(reply))
        connection.close()
        return lost

    def connection(self) -> Connection:
        """A new one."""
        return Connection(self._port, self.headers)

    async def _keep_on(self, one: Asking, number: int) -> None:
        connection, headers = self.connection(), self.headers
        while not self._done:
            if headers is not self.headers:
                connection.close()
                connection, headers = self.connection(), self.headers
            began = time.perf_counter()
            await one(number, connection)
            await asyncio.sleep(max(0.0, self.interval - (time.perf_counter() - began)))
        connection.close()

    async def _ask(self, number: int, connection: Connection) -> None:
        user = self._chance.choice(self.users)
        reply = await self._outcome(ASK, number, connection, *self.question(ASK, user))
        if reply.status == 200:
            answer = orjson.loads(reply.body)
            self.bundles.add(answer["bundle_id"])
            because = {item_id for item in answer["items"] for item_id in item.get("because", ())}
            self._check(user, {*answer["unknown_items"], *because})

    async def _read(self, number: int, connection: Connection) -> None:
        user = self._chance.choice(self.users)
        reply = await self._outcome(READ, number, connection, *self.question(READ, user))
        if reply.status == 200:
            self._check(user, _item_ids(reply))

    async def _look_up(self, number: int, connection: Connection) -> None:
        user = self._chance.choice(self.users)
        reply = await self._outcome(LOOK_UP, number, connection, *self.question(LOOK_UP, user))
        if reply.status == 200:
            self._check(user, set(orjson.loads(reply.body)["unknown_items"]))

    async def _post(self, number: int, connection: Connection) -> None:
        if self.posting:
            events = [self.event(user) for user in self._chance.sample(self.users, POSTED)]
            await self._until_taken(events, number, connection)

    async def _until_taken(self, events: list[dict[str, object]], number: int, connection: Connection) -> None:
        """The same events again after a refusal, as a client does."""
        body = orjson.dumps({"events": events})
        while not self._done:
            reply = await self._outcome(POST, number, connection, "POST", "/v1/events", body)
            if reply.status == 200:
                for event, result in zip(events, orjson.loads(reply.body)["results"], strict=True):
                    self.statuses[result["status"]] += 1
                    if result["status"] in ("accepted", "duplicate"):
                        self.accepted[str(event["user_id"])].append(str(event["item_id"]))
                return
            await asyncio.sleep(0.05)

    async def _seed(self) -> None:
        connection = self.connection()
        events = [self.event(user, item_id) for user in self.users for item_id in sorted(self._known[user])]
        for start in range(0, len(events), 1000):
            await self._until_taken(events[start : start + 1000], -1, connection)
        connection.close()
        self.outcomes.clear()

    async def _outcome(
        self, kind: str, number: int, connection: Connection, method: str, path: str, body: bytes
    ) -> Reply:
        was_open, began = connection.is_open, time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await connection.ask(method, path, body)
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            reply = Reply(0, b"")
        seconds = time.perf_counter() - began
        degraded = b'"degraded"' in reply.body
        self.outcomes.append(Outcome(kind, number, was_open, began, seconds, reply.status, degraded))
        return reply

    def _check(self, user: str, item_ids: set[str]) -> None:
        own = self._known[user]
        self.foreign += any(one not in own and not one.startswith(f"{user}-") for one in item_ids)


def _item_ids(reply: Reply) -> set[str]:
    return {one["item_id"] for one in orjson.loads(reply.body)["interactions"]}
