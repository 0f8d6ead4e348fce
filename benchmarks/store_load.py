"""How fast `intently-serve load` fills an empty store from an event log: Redis and SQLite.

    python benchmarks/store_load.py --events 2000000

The log is Parquet as the service writes it, in the order of time: 50 events a user, item ids of 10 bytes. The command
is run as it is, its start included. Redis writes no file; SQLite syncs every write. The processor seconds are those of
the command, and say what the figure is worth on a machine that had other work (`load_average`).
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import duckdb
from redis import Redis
from serving import BIN
from serving_load import redis_server
from store_memory import STARTING

from training.results import record

RESULTS = Path(__file__).parent / "results/store-load.jsonl"
PER_USER = 50
LOG = f"""
    COPY (
        SELECT NULL::VARCHAR AS event_id, format('u{{:09}}', n % $1 ) AS user_id,
               format('B{{:09}}', (n * 7919) % 1000000000) AS item_id, 'click' AS type,
               1767225600 + n * 0.01 AS timestamp
        FROM range($1 * {PER_USER}) AS numbers(n) ORDER BY n
    ) TO $2 (FORMAT parquet, COMPRESSION zstd)
"""


def main() -> None:
    """Write the log, load it into both, and record a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log").mkdir()
        duckdb.execute(LOG, [arguments.events // PER_USER, str(folder / "log/events.parquet")])
        with redis_server(folder) as url, Redis.from_url(url, retry=STARTING) as client:
            client.ping()
            found = {"redis": loaded(folder / "log", url)}
        found["sqlite"] = loaded(folder / "log", f"sqlite:///{folder}/store.sqlite3")
    for store, metrics in found.items():
        metrics |= {"events_per_second": arguments.events / metrics["seconds"]}
        place = {"dataset": "synthesized", "method": store, "loaded": arguments.events}
        record(arguments.results, kind="store", **place, metrics=metrics)
        print(f"{store}: {arguments.events:,} events: {metrics}")


def loaded(log: Path, store: str) -> dict[str, float]:
    """What the command took. Raises subprocess.CalledProcessError."""
    began, used, load = time.perf_counter(), os.times(), os.getloadavg()[0]
    subprocess.run([BIN / "intently-serve", "load", log, "--store", store], check=True)
    now = os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return {"seconds": time.perf_counter() - began, "cpu_seconds": cpu, "load_average": load}


if __name__ == "__main__":
    main()
