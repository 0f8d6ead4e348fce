"""Requests a second and latency of the service beside the ways it is usually built, with real Redis.

    python benchmarks/serving_speed.py
    python benchmarks/serving_speed.py --rounds 1 --only intently,hello

Every request names one of 20,000 users (9 interactions on average, in Redis) and one of 20 categories, and asks for 20
of 12,000 items the user has not seen; the model has 2 layers of width 64. `wrk` asks from the same cores. Each server
runs alone; rounds are interleaved and the median counts. Needs wrk (Debian: apt install wrk); redis-server is taken if
it is there, else the Valkey binary of the test dependencies.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving import free_port, wait_until_ready
from serving_load import one_category_each, prepared, redis_server, script_for, store_sequences

from training.results import record

HERE = Path(__file__).parent
CONNECTIONS = {"one client": 1, "loaded": 32}
CURVE = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Row:
    """A server to measure. What stands in braces in its command is replaced."""

    name: str
    command: tuple[str, ...]
    health: str = "/docs"
    more: dict[str, Any] = field(default_factory=dict)  # in the body of each request


def served(workers: int, bundle: str = "{small}") -> tuple[str, ...]:
    """The command of this service."""
    places = ("--bundle", bundle, "--store", "{redis}", "--port", "{port}", "--admin-port", "{admin}")
    return ("-m", "service.cli", "run", *places, "--workers", str(workers))


READY = "/health/ready"
UVICORN = ("-m", "uvicorn", "--app-dir", str(HERE / "rivals"), "--log-level", "warning", "--no-access-log", "--port")
OURS = Row("intently, 2 workers", served(2), READY)
ROWS = (
    Row("hello world, 1 worker", (*UVICORN, "{port}", "hello:app"), "/"),
    OURS,
    Row("intently, 1 worker", served(1), READY),
    Row("intently, 2 workers, 3 intents", served(2), READY, {"intents": 3}),
    Row("intently, 2 workers, default bundle", served(2, "{default}"), READY),
    Row("FastAPI + ONNX Runtime + FAISS, 2 workers", (*UVICORN, "{port}", "--workers", "2", "usual:app")),
    Row("FastAPI + torch, 2 workers", (*UVICORN, "{port}", "--workers", "2", "naive:app")),
    Row("LitServe, 2 workers", (str(HERE / "rivals/lit.py"), "{port}"), "/health"),
)


def main() -> None:
    """Prepare, measure in rounds, record."""
    arguments = parsed()
    rows = [row for row in ROWS if row.name.startswith(tuple(arguments.only.split(",")))]
    small, default, data = prepared(arguments.work)
    asked_for = one_category_each(data)
    with redis_server(arguments.work) as redis:
        store_sequences(data, redis)
        places = {"small": str(small), "default": str(default), "redis": redis}
        for number in range(1, arguments.rounds + 1):
            for row in rows:
                script = script_for(data, [one | row.more for one in asked_for], arguments.work)
                with running(row, places) as server:
                    its = {
                        name: asked(server.url, script, count, arguments.seconds) for name, count in CONNECTIONS.items()
                    }
                measured = server.begun | {
                    f"{name}, {key}": value for name, one in its.items() for key, value in one.items()
                }
                keep(arguments.results, row, measured, round=number)
                print(f"round {number}, {row.name}: {its['loaded']['requests/s']:.0f} requests/s", flush=True)
        if OURS in rows:
            script = script_for(data, asked_for, arguments.work)
            with running(OURS, places) as server:
                for connections in CURVE:
                    its = asked(server.url, script, connections, arguments.seconds)
                    keep(arguments.results, OURS, its, connections=connections)
    print("make render shows the medians in docs/benchmarks.md")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--only", default="", help="rows whose name begins with one of these, separated by commas")
    parser.add_argument("--work", type=Path, default=Path(".serving"), help="log, bundles and Redis' data")
    parser.add_argument("--results", type=Path, default=HERE / "results/serving-speed.jsonl")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt install wrk")
    return arguments


def keep(results: Path, row: Row, metrics: dict[str, float], **place: int) -> None:
    """Append one result line."""
    record(results, kind="serving", dataset="synthesized", method=row.name, **place, metrics=metrics)


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    admin: str  # URL of the admin port, where it has one
    pid: int
    begun: dict[str, float]  # how long it took to answer, and how much memory its processes hold


@contextmanager
def running(
    row: Row, places: dict[str, str], variables: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[Running]:
    """Start the server, and end it with all its processes. `log` is where its standard error goes."""
    port, admin = free_port(), free_port()
    words = [word.format(port=port, admin=admin, **places) for word in row.command]
    rivals = {"RIVAL_BUNDLE": places["small"], "RIVAL_REDIS": places["redis"], "OMP_NUM_THREADS": "1"}
    paths = {"PYTHONPATH": os.pathsep.join(str(path) for path in (HERE.parent, HERE, HERE / "rivals"))}
    began = time.perf_counter()
    environment = os.environ | rivals | paths | (variables or {})
    with log.open("wb") if log else nullcontext() as errors:
        server = subprocess.Popen([sys.executable, *words], env=environment, stderr=errors, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, 120, row.health)
        took = time.perf_counter() - began
        begun = {"start_seconds": took, "memory_mb": memory_mb(server.pid)}
        yield Running(url, f"http://127.0.0.1:{admin}", server.pid, begun)
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(5)
        with suppress(ProcessLookupError):  # workers that outlive their parent
            os.killpg(server.pid, signal.SIGKILL)


def memory_mb(pid: int) -> float:
    """Resident memory of a process and all below it, in MB (10^6 bytes)."""
    return own_memory_mb(pid) + sum(memory_mb(child) for child in children(pid))


def own_memory_mb(pid: int) -> float:
    """Resident memory of one process in MB."""
    own = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(own.split()[1]) * 1024 / 1e6


def open_files(pid: int) -> float:
    """How many, sockets included."""
    return float(len(list(Path(f"/proc/{pid}/fd").iterdir())))


def children(pid: int) -> list[int]:
    """The processes it started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(pid: int) -> list[int]:
    """The processes of a service that answer."""
    return [child for child in children(pid) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def asked(url: str, script: Path, connections: int, seconds: float) -> dict[str, float]:
    """One measurement after a second of warming up: requests/s and latency in ms. Raises on any error."""
    by_wrk(url, script, connections, 1)
    its = by_wrk(url, script, connections, seconds)
    if its["errors"]:
        raise SystemExit(f"{its['errors']:.0f} of {its['requests']:.0f} requests failed")
    rate = its["requests"] / its["microseconds"] * 1e6
    return {"requests/s": rate, "p50 ms": its["p50"] / 1e3, "p99 ms": its["p99"] / 1e3}


def by_wrk(url: str, script: Path, connections: int, seconds: float) -> dict[str, float]:
    """Requests, errors, microseconds it took, latencies p50 and p99 in microseconds."""
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), url]
    printed = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
    its: dict[str, float] = json.loads(printed.rpartition("RESULT ")[2])
    return its


if __name__ == "__main__":
    main()
