"""A million exposures and their outcomes while the service and its event log's writer are killed: is any lost?

    python benchmarks/exposures_killed.py
    python benchmarks/exposures_killed.py --exposures 50000 --life 25 --results /tmp/killed.jsonl

Two workers, a redis-server of their own that syncs every write, every user in an experiment. Eight connections ask for
lists, 32 a request, and post a click on every tenth list, again until it is accepted. In turns SIGKILL takes a worker,
the supervising process, which writes the event log, and all of them; then the service is started again. At the end
every list that was delivered must be in the exposure files, every accepted click in the event files.
"""

import argparse
import asyncio
import itertools
import os
import random
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import duckdb
import orjson
from asking import Connection, Reply
from exposure_cost import begin
from harm import WORKERS, Metrics, Scene, listening, port_of, until
from redis import Redis
from redis_process import RedisProcess
from serving_load import prepared, store_sequences
from serving_speed import HERE, Running, workers_of

from service.control import control_state
from service.experiments.declarations import Experiment
from service.experiments.exposures import EXPOSURES
from service.experiments.report.building import build_report
from service.stores.opening import open_store
from training.results import record

CONNECTIONS, TOGETHER, CLICKED = 8, 32, 0.1  # lists a request; share of them that are clicked
Answer = dict[str, Any]
PATIENCE = 10.0  # seconds for an answer
LOG = "intently:log"  # the buffer in Redis
OFTEN = {"INTENTLY_EVENTS_SECONDS": "5"}  # so that the writer is killed while it writes


@dataclass
class Clients:
    """What came back to them, a line each in two files."""

    users: list[str]
    delivered: TextIO  # recommendation ids
    accepted: TextIO  # event ids
    wanted: int  # lists
    port: int = 0  # of the service; 0 before there is one
    lists: int = 0
    clicks: int = 0
    unanswered: int = 0
    over: bool = False
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    async def keep_asking(self) -> None:
        """Over one connection at a time, until it is over and every click is accepted."""
        while not self.port:
            await asyncio.sleep(0.05)
        port, connection = self.port, Connection(self.port)
        clicks: list[Answer] = []
        while clicks or not self.over:
            if port != self.port:
                connection.close()
                port, connection = self.port, Connection(self.port)
            if clicks:
                done = await self._taken(clicks, connection)
                clicks = [] if done else clicks
            else:
                done = (shown := await self._shown(connection)) is not None
                clicks = [_click(one) for one in shown or () if self.chance.random() < CLICKED]
            if not done:
                await asyncio.sleep(0.05)
        connection.close()

    async def lived(self, seconds: float) -> bool:
        """Let the service live, a fifth longer or shorter; whether enough was delivered before that was over."""
        end = time.perf_counter() + seconds * self.chance.uniform(0.8, 1.2)
        while time.perf_counter() < end and self.lists < self.wanted:
            await asyncio.sleep(0.05)
        return self.lists >= self.wanted

    async def _shown(self, connection: Connection) -> list[Answer] | None:
        asked = [{"user_id": user} for user in self.chance.choices(self.users, k=TOGETHER)]
        reply = await self._reply(connection, "/v1/recommendations/batch", {"requests": asked})
        if reply.status != 200:
            return None
        answers = orjson.loads(reply.body)["answers"]
        shown = [one | {"user_id": its["user_id"]} for one, its in zip(answers, asked, strict=True) if "variant" in one]
        self.delivered.writelines(f"{one['recommendation_id']}\n" for one in shown)
        self.lists += len(shown)
        return shown

    async def _taken(self, clicks: list[Answer], connection: Connection) -> bool:
        reply = await self._reply(connection, "/v1/events", {"events": clicks})
        if reply.status != 200:
            return False
        results = orjson.loads(reply.body)["results"]
        taken = [
            its for its, found in zip(clicks, results, strict=True) if found["status"] in ("accepted", "duplicate")
        ]
        self.accepted.writelines(f"{one['event_id']}\n" for one in taken)
        self.clicks += len(taken)
        return True

    async def _reply(self, connection: Connection, path: str, body: Answer) -> Reply:
        try:
            async with asyncio.timeout(PATIENCE):
                return await connection.ask("POST", path, orjson.dumps(body))
        except (OSError, asyncio.IncompleteReadError):
            self.unanswered += 1
            return Reply(0, b"")


def _click(shown: Answer) -> Answer:
    its = {name: shown[name] for name in ("recommendation_id", "user_id")} | {"timestamp": time.time()}
    return its | {"event_id": f"click-{shown['recommendation_id']}", "item_id": shown["items"][0]["item_id"]}


async def killed(scene: Scene, clients: Clients, redis: RedisProcess, life: float) -> Metrics:
    """Until so many lists were delivered as are wanted, and everything is in files."""
    began, deaths = time.perf_counter(), 0
    asking = [asyncio.create_task(clients.keep_asking()) for _ in range(CONNECTIONS)]
    for ending in itertools.cycle(("the writer", "everything")):
        async with scene.service(redis.url, "--events", str(scene.folder / "events"), **OFTEN) as server:
            if not deaths:
                await asyncio.to_thread(begin, server.admin, server.url)
            clients.port = port_of(server)
            deaths += await _lived(clients, server, ending, life)
            print(f"{clients.lists:,} lists, {clients.clicks:,} clicks, {deaths} kills", flush=True)
            if clients.lists >= clients.wanted:
                took = time.perf_counter() - began
                clients.over = True
                await asyncio.gather(*asking)
                await asyncio.to_thread(emptied, redis.url)
                break
    its = {"delivered": clients.lists, "accepted": clients.clicks, "kills": deaths, "unanswered": clients.unanswered}
    return {name: float(value) for name, value in its.items()} | {"lists/s": clients.lists / took}


async def _lived(clients: Clients, server: Running, ending: str, life: float) -> int:
    """A life in two parts: a worker is killed, then what the `ending` says -> how many kills, fewer if it is over."""
    if await clients.lived(life):
        return 0
    kill(server, "a worker")
    await until(lambda: listening(port_of(server)) == WORKERS)
    if await clients.lived(life):
        return 1
    kill(server, ending)
    await asyncio.sleep(1)  # without its supervisor a worker goes on answering for a while
    return 2


async def running_in(url: str) -> Experiment:
    """The experiment, as the store has it."""
    store = open_store(url)
    [experiment] = (await control_state(store).poll()).experiments
    await store.close()
    return experiment


def kill(server: Running, victim: str) -> None:
    """SIGKILL."""
    if victim == "everything":
        os.killpg(server.pid, signal.SIGKILL)
    else:
        os.kill(workers_of(server.pid)[0] if victim == "a worker" else server.pid, signal.SIGKILL)


def emptied(url: str) -> None:
    """Wait until the writer has moved everything. Raises TimeoutError."""
    deadline = time.monotonic() + 180
    with Redis.from_url(url) as redis:
        while redis.xlen(LOG):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{redis.xlen(LOG)} entries are still in the buffer")
            time.sleep(0.2)


def checked(folder: Path) -> Metrics:
    """What is missing in the files, and what is there more than once."""
    found = {}
    for name, files, column in (
        ("exposures", f"{folder}/events/exposures/*/*/*.parquet", "recommendation_id"),
        ("outcomes", f"{folder}/events/day=*/*.parquet", "event_id"),
    ):
        ids = folder / ("delivered" if name == "exposures" else "accepted")
        rows = f"read_parquet('{files}', hive_partitioning = false)"
        [(lost, written, distinct)] = duckdb.execute(
            f"SELECT (SELECT count(*) FROM read_csv(?, header = false, columns = {{'id': 'VARCHAR'}}) AS known "
            f"ANTI JOIN {rows} AS kept ON kept.{column} = known.id), count(*), count(DISTINCT {column}) FROM {rows}",
            [str(ids)],
        ).fetchall()
        found |= {
            f"{name} lost": float(lost),
            f"{name} in files": distinct,
            f"{name} written twice": written - distinct,
        }
    return found


def main() -> None:
    """Kill, check, report, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exposures", type=int, default=1_000_000)
    parser.add_argument("--life", type=float, default=35, help="seconds between two kills, a fifth more or less")
    parser.add_argument("--work", type=Path, default=Path(".serving"), help="log and bundles")
    parser.add_argument("--results", type=Path, default=HERE / "results/experiment-killed.jsonl")
    arguments = parser.parse_args()
    small, _, data = prepared(arguments.work)
    with tempfile.TemporaryDirectory(prefix="intently-killed-") as name:
        folder = Path(name)
        scene = Scene(folder, small, data.item_ids)
        with (
            scene.redis() as redis,
            (folder / "delivered").open("w") as lists,
            (folder / "accepted").open("w") as clicks,
        ):
            store_sequences(data, redis.url)
            clients = Clients(list(data.user_ids), lists, clicks, arguments.exposures)
            metrics = asyncio.run(killed(scene, clients, redis, arguments.life))
            experiment = asyncio.run(running_in(redis.url))
        metrics |= checked(folder)
        began = time.perf_counter()
        report = build_report(experiment, folder / "events" / EXPOSURES, folder / "events")
        metrics |= {"report, s": time.perf_counter() - began, "files": float(len(list(folder.rglob("*.parquet"))))}
        metrics |= {
            name: float(sum(getattr(one, name) for one in report.variants)) for name in ("page_views", "clicks")
        }
    record(arguments.results, kind="experiment", dataset="synthesized", method="killed", metrics=metrics)
    print({key: round(value, 2) for key, value in metrics.items()})


if __name__ == "__main__":
    main()
