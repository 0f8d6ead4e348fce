"""What users notice when bundles are swapped under load, when the service is stopped, and when too much is asked.

    python benchmarks/serving_stress.py

The same users, items and requests as serving_speed.py, two workers. *Swap*: a bundle is activated
and rolled back in turn, five seconds apart, at four fifths of the requests that the service can answer. *Overload*:
three times as many connections as requests can wait; what is refused (503) is no failure, what is answered counts.
*SIGTERM* while 16 connections ask: a request fails that was sent and not answered. Needs wrk.
"""

import argparse
import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from asking import Connection
from serving import call
from serving_load import one_category_each, pausing, prepared, redis_server, script_for, store_sequences
from serving_speed import HERE, OURS, Running, by_wrk, running

from service.bundle.files import FILES, TOPK, find_bundles, open_bundle, write_bundle
from training.results import record

LOAD = 16  # connections
FULL = 32
MANY = 128  # connections that pause
SHARE = 0.8  # of the requests that can be answered
ANSWERED = 3  # milliseconds that an answer takes at that load, about
OVERLOAD = 3 * 2 * 512  # three times what can wait in two workers
SWAP_SECONDS = 5  # from the end of a swap to the next
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
    by_wrk(server.url, script, FULL, 1)
    best = _rate(by_wrk(server.url, script, FULL, seconds))
    paced = pausing(script, round(MANY / (SHARE * best) * 1e3) - ANSWERED)
    steady = by_wrk(server.url, paced, MANY, seconds)
    done, took = threading.Event(), []

    def swap() -> None:
        bundle_id = find_bundles(root)[1].name
        for number in range(1000):
            started = time.perf_counter()
            call(
                f"{server.admin}/admin/bundles/{'rollback' if number % 2 else f'{bundle_id}/activate'}", {}, seconds=60
            )
            took.append(time.perf_counter() - started)
            if done.wait(SWAP_SECONDS):
                return

    swapping = threading.Thread(target=swap)
    swapping.start()
    busy = by_wrk(server.url, paced, MANY, seconds)
    done.set()
    swapping.join()
    return {
        "requests": busy["requests"],
        "failed": busy["errors"],
        "swaps": len(took),
        "slowest swap s": max(took),
        "share of the best load": _rate(busy) / best,
        "steady p99 ms": steady["p99"] / 1e3,
        "p99 ms": busy["p99"] / 1e3,
        "p99 ratio": busy["p99"] / steady["p99"],
    }


def _rate(measured: Metrics) -> float:
    return measured["requests"] / measured["microseconds"] * 1e6


def overloaded(server: Running, script: Path, seconds: float) -> Metrics:
    """How much is still answered when more is asked than can wait, against the best."""
    by_wrk(server.url, script, FULL, 1)
    best, much = by_wrk(server.url, script, FULL, seconds), by_wrk(server.url, script, OVERLOAD, seconds)
    good = _rate(much | {"requests": much["requests"] - much["errors"]})
    return {
        "connections": OVERLOAD,
        "asked/s": _rate(much),
        "answered/s": good,
        "refused": much["errors"],
        "best requests/s": _rate(best),
        "goodput ratio": good / _rate(best),
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
