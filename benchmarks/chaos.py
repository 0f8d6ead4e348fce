"""The service harmed while it answers: what fails, how long it takes to recover, what is lost.

    python benchmarks/chaos.py
    python benchmarks/chaos.py --only "Redis stopped,a worker killed"

Two workers and a redis-server of their own for each case, which is kept on an append-only file that is synced at every
write. 200 users post events with items that nobody else has, ask for recommendations and intents and read what is
stored, over 16 connections of this process and on the same cores. An answer with another user's ids, an accepted event
that is missing afterwards and a request without an answer are counted. Needs redis-server; the full disk needs root and
the moved clock a C compiler, without which these are skipped.
"""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import chaos_service
import chaos_store
from harm import Metrics, Scene, SkippedError
from serving_load import prepared
from serving_speed import HERE
from serving_stress import two_bundles

from training.results import record

CASES: dict[str, Callable[[Scene], Awaitable[Metrics]]] = {
    "Redis killed and started again": chaos_store.killed,
    "Redis stopped": chaos_store.stopped,
    "Redis cut off": chaos_store.cut_off,
    "Redis 200 ms late": chaos_store.slowed,
    "Redis emptied, rebuilt from the event log": chaos_store.emptied,
    "Redis emptied while events are posted, rebuilt": chaos_store.emptied_while_posting,
    "disk full under SQLite": chaos_store.disk_full,
    "a worker killed": chaos_service.worker_killed,
    "damaged bundles put in place": chaos_service.damaged_bundles,
    "clock moved": chaos_service.clock_moved,
    "1,000 requests cancelled": chaos_service.cancelled,
}


def main() -> None:
    """Each case on a service of its own."""
    arguments = parsed()
    small, _, data = prepared(arguments.work)
    bundles = two_bundles(small, arguments.work / "two")
    for name, case in CASES.items():
        if not name.startswith(tuple(arguments.only.split(","))):
            continue
        with tempfile.TemporaryDirectory(prefix="intently-chaos-") as folder:
            scene = Scene(Path(folder), shutil.copytree(bundles, Path(folder) / "bundles"), data.item_ids)
            try:
                measured = asyncio.run(case(scene))
            except SkippedError as reason:
                print(f"{name}: skipped, {reason}", flush=True)
                continue
            except BaseException:
                print(scene.log.read_text()[-4000:] if scene.log.exists() else "the service said nothing")
                raise
        record(arguments.results, kind="serving", dataset="synthesized", method=name, chaos=True, metrics=measured)
        print(name, {key: round(value, 3) for key, value in measured.items()}, flush=True)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name begins with one of these, separated by commas")
    parser.add_argument("--work", type=Path, default=Path(".serving"), help="log and bundles")
    parser.add_argument("--results", type=Path, default=HERE / "results/serving-chaos.jsonl")
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        parser.error("redis-server is not installed: apt install redis-server")
    return arguments


if __name__ == "__main__":
    main()
