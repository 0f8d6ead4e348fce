"""Seconds, memory and disk of `intently-train prepare` on a large log.

    python benchmarks/big_log.py --interactions 100000000

The log is synthesized by DuckDB as Parquet, as the service's event log is: in the order of time, an interaction a row,
item popularity by Zipf's law, one of 1,000 rows a repeat of the row before, one of 10,000 without a user. There are as
many users as interactions / 12 and as many items as interactions / 100. Everything it writes is removed in the end.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import duckdb
from measured_command import measured
from serving import BIN

from training.results import record

RESULTS = Path(__file__).parent / "results/scale-prepare.jsonl"
ASKED_MB = 8 * 2**30 / 1e6  # of memory
MEAN_LENGTH, PER_ITEM = 12, 100
LOG = """
    COPY (
        SELECT CASE WHEN place % 10000 = 9999 THEN '' ELSE 'user-' || floor($users * pow(u, 1.3))::BIGINT END
                   AS user_id,
               'item-' || floor(exp(v * ln($items)))::BIGINT AS item_id, 1767225600 + n * 0.25 AS timestamp
        FROM (
            SELECT place, n, (hash(n, 1) >> 11) / 9007199254740992.0 AS u, (hash(n, 2) >> 11) / 9007199254740992.0 AS v
            FROM (SELECT place, place - (place % 1000 = 999)::INTEGER AS n FROM range($interactions) AS numbers(place))
        )
    ) TO $out (FORMAT parquet, COMPRESSION zstd)
"""


def main() -> None:
    """Synthesize, prepare, record, remove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=100_000_000)
    parser.add_argument("--engine", default="duckdb", choices=("duckdb", "spark"))
    parser.add_argument("--memory-limit", default="4GB", help="of DuckDB, as of `prepare`")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path(".scale"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    arguments.work.mkdir(parents=True)
    try:
        log, out = arguments.work / "log.parquet", arguments.work / "data"
        synthesized(log, arguments.interactions)
        how = ("--engine", arguments.engine, "--memory-limit", arguments.memory_limit)
        metrics = measured([BIN / "intently-train", "prepare", log, "--out", out, *how], arguments.work)
        counts = json.loads((out / "manifest.json").read_text())["counts"]
        metrics |= {"rows/s": counts["rows_read"] / metrics["seconds"], "log_mb": log.stat().st_size / 1e6}
        size = {"rows": counts["rows_read"], "counts": counts, "asked_memory_mb": ASKED_MB}
        place = {"dataset": "synthesized", "method": "prepare", "engine": arguments.engine, "cores": arguments.cores}
        record(arguments.results, kind="scale", **place, **size, metrics=metrics)
        print(metrics)
    finally:
        shutil.rmtree(arguments.work)


def synthesized(log: Path, interactions: int) -> None:
    """Write the log."""
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '2GB'")
        sizes = {"users": interactions // MEAN_LENGTH, "items": interactions // PER_ITEM}
        connection.execute(LOG, {"interactions": interactions, "out": str(log)} | sizes)


if __name__ == "__main__":
    main()
