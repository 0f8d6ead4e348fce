"""What users notice when bundles are swapped under load, when the service is stopped, and when too much is asked.

    python benchmarks/serving_stress.py

The same users, items and requests as serving_speed.py, two workers. *Swap*: one bundle after another is activated
while 16 connections ask. *Overload*: three times as many connections as requests can wait; what is refused (503) is no
failure, what is answered counts. *SIGTERM* while 16 connections ask: a request fails that was sent and not answered.
Needs wrk.
"""

import argparse
import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from asking import Connection
from serving import call
from serving_load import one_category_each, prepared, redis_server, script_for, store_sequences
from serving_speed import HERE, OURS, Running, by_wrk, running

from service.bundle.files import FILES, TOPK, find_bundles, open_bundle, write_bundle
from training.results import record

LOAD = 16  # connections: about four fifths of what 32 reach
FULL = 32
OVERLOAD = 3 * 2 * 512  # three times what can wait in two workers
SWAP_SECONDS = 1.5
Metrics = dict[str, float]


def main() -> None:
    """Each case on a service of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--work", type=Path, default=Path(".serving"))
    parser.add_argument("--results", type=Path, default=HERE / "results/serving-stress.jsonl")
    arguments = parser.parse_args()
    small, _, data = prepared(arguments.work)
    script = script_for(data, one_category_each(data), arguments.work)
    bodies = (arguments.work / "ask.txt").read_bytes().splitlines()
    root = two_bundles(small, arguments.work / "two")
    cases: dict[str, Callable[[Running], Metrics]] = {
        "bundles swapped under load": lambda server: swapped(server, root, script, arguments.seconds),
        "three times what can wait": lambda server: overloaded(server, script, arguments.seconds),
        "SIGTERM under load": lambda server: asyncio.run(stopped(server, bodies)),
    }
    with redis_server(arguments.work) as redis:
        store_sequences(data, redis)
        for name, case in cases.items():
            with running(OURS, {"small": str(root.absolute()), "redis": redis}) as server:
                measured = case(server)
            record(arguments.results, kind="serving", dataset="synthesized", method=name, stress=True, metrics=measured)
            print(name, {key: round(value, 2) for key, value in measured.items()}, flush=True)


def two_bundles(bundle: Path, root: Path) -> Path:
    """The bundle twice, under two names."""
    if not root.is_dir():
        manifest = open_bundle(bundle).manifest.model_dump(exclude={"files"})
        content = {name: (bundle / name).read_bytes() for name in (*FILES, TOPK)}
        for name in ("one", "other"):
            write_bundle(root, manifest | {"name": name}, content)
    return root


def swapped(server: Running, root: Path, script: Path, seconds: float) -> Metrics:
    """p99 without swaps and with them, and how many requests failed."""
    by_wrk(server.url, script, LOAD, 1)
    steady = by_wrk(server.url, script, LOAD, seconds)
    done, swaps = threading.Event(), []

    def swap() -> None:
        for number in range(1000):
            bundle_id = find_bundles(root)[number % 2].name
            call(f"{server.admin}/admin/bundles/{bundle_id}/activate", {}, seconds=60)
            swaps.append(bundle_id)
            if done.wait(SWAP_SECONDS):
                return

    swapping = threading.Thread(target=swap)
    swapping.start()
    busy = by_wrk(server.url, script, LOAD, seconds)
    done.set()
    swapping.join()
    return {
        "requests": busy["requests"],
        "failed": busy["errors"],
        "swaps": len(swaps),
        "steady p99 ms": steady["p99"] / 1e3,
        "p99 ms": busy["p99"] / 1e3,
        "p99 ratio": busy["p99"] / steady["p99"],
    }


def overloaded(server: Running, script: Path, seconds: float) -> Metrics:
    """How much is still answered when more is asked than can wait, against the best."""
    by_wrk(server.url, script, FULL, 1)
    best, much = by_wrk(server.url, script, FULL, seconds), by_wrk(server.url, script, OVERLOAD, seconds)
    good = (much["requests"] - much["errors"]) / much["microseconds"] * 1e6
    return {
        "connections": OVERLOAD,
        "asked/s": much["requests"] / much["microseconds"] * 1e6,
        "answered/s": good,
        "refused": much["errors"],
        "best requests/s": best["requests"] / best["microseconds"] * 1e6,
        "goodput ratio": good / (best["requests"] / best["microseconds"] * 1e6),
    }


async def stopped(server: Running, bodies: Sequence[bytes]) -> Metrics:
    """Requests that were sent and never answered around a SIGTERM; a connection refused afterwards is none."""
    counts = {"answered": 0.0, "failed": 0.0}
    port = int(server.url.rpartition(":")[2])
    asking = [asyncio.create_task(_ask(port, bodies[number::LOAD], counts)) for number in range(LOAD)]
    await asyncio.sleep(3)
    before = counts["answered"]
    os.kill(server.pid, signal.SIGTERM)
    await asyncio.wait_for(asyncio.gather(*asking), 30)
    return counts | {"answered after SIGTERM": counts["answered"] - before}


async def _ask(port: int, bodies: Sequence[bytes], counts: Metrics) -> None:
    """Request after request, on a new connection where the service closes one, until it takes no more."""
    connection, number = Connection(port), 0
    while True:
        try:
            await connection.ask("POST", "/v1/recommendations", bodies[number % len(bodies)])
        except ConnectionRefusedError:
            return
        except (OSError, asyncio.IncompleteReadError):
            counts["failed"] += 1
        else:
            counts["answered"] += 1
        number += 1


if __name__ == "__main__":
    main()
