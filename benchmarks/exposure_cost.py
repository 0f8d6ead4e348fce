"""Requests a second with a running experiment and its exposures, beside the same service without either.

    python benchmarks/exposure_cost.py

As in serving_speed.py: real Redis, two workers, 32 connections, every user in the experiment; both services take turns
and the median of the rounds counts. The event log is written every 5 seconds, so that its writer works meanwhile.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from assignment_cost import declared
from redis import Redis
from serving import call
from serving_load import one_category_each, prepared, redis_server, script_for, store_sequences
from serving_speed import CONNECTIONS, READY, Row, asked, by_wrk, running, served

from service.admin_client import AdminClient
from training.results import record

RESULTS = Path(__file__).parent / "results/experiment-exposures.jsonl"
PLAIN = Row("without an experiment", served(2), READY)
EXPOSING = Row("with an experiment and its exposures", (*served(2), "--events", "{events}"), READY)
KEPT = 0.9  # of the throughput, asked for
WRITER = {"INTENTLY_EVENTS_SECONDS": "5"}
WARM = 8.0  # seconds; the writer's first turn, which loads what it needs, is not measured


def main() -> None:
    """Measure in rounds, record, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--work", type=Path, default=Path(".serving"), help="log, bundles and Redis' data")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    small, _, data = prepared(arguments.work)
    script = script_for(data, one_category_each(data), arguments.work)
    found: dict[str, list[float]] = {PLAIN.name: [], EXPOSING.name: []}
    for number in range(1, arguments.rounds + 1):
        for row in (PLAIN, EXPOSING):
            with redis_server(arguments.work) as redis, tempfile.TemporaryDirectory() as events:
                store_sequences(data, redis)
                places = {"small": str(small), "redis": redis, "events": events}
                with running(row, places, WRITER) as server:
                    if row is EXPOSING:
                        begin(server.admin, server.url)
                    by_wrk(server.url, script, CONNECTIONS["loaded"], WARM)
                    its = asked(server.url, script, CONNECTIONS["loaded"], arguments.seconds)
                    memory = Redis.from_url(redis).info("memory")["used_memory_peak"] / 1e6
            metrics = its | {"redis peak MB": memory}
            record(arguments.results, kind="experiment", method=row.name, round=number, metrics=metrics)
            found[row.name].append(its["requests/s"])
            print(f"round {number}, {row.name}: {its['requests/s']:.0f} requests/s, Redis {memory:.0f} MB", flush=True)
    plain, exposing = (statistics.median(rates) for rates in found.values())
    print(f"{exposing / plain:.1%} of the throughput is kept; {KEPT:.0%} is asked")


def begin(admin: str, url: str) -> None:
    """Every user is in it, once both workers follow."""
    with AdminClient(admin) as client:
        client.create(declared("measured"))
        client.start("measured", 1.0)
    deadline = time.monotonic() + 30
    while not all("variant" in call(f"{url}/v1/recommendations", {"user_id": "u"}) for _ in range(20)):
        if time.monotonic() > deadline:
            raise TimeoutError("the experiment did not reach every worker")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
