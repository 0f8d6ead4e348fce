"""How long the report of a large experiment takes, and how much memory, from its files to the last number.

    python benchmarks/experiment_report.py

A million lists shown to 200,000 users in two weeks and 100,000 outcomes, clicks and conversions, lie in Parquet files
of an hour each, with columns as the service writes them. Each round is a process that builds the report once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from service.experiments.declarations import DAY_SECONDS, Declaration, Experiment, Phase
from training.results import record

RESULTS = Path(__file__).parent / "results/experiment-report.jsonl"
DAYS, USERS, BEGUN = 14, 200_000, 1_789_948_800
ASKED = 5.0  # seconds on two cores
METRICS = [
    {"name": "pvctr", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"},
    {"name": "uvctr", "kind": "proportion", "numerator": "clicks"},
    {"name": "cvr", "kind": "ratio", "numerator": "conversions", "denominator": "clicks"},
    {"name": "vv", "kind": "mean", "numerator": "page_views"},
    {"name": "fallbacks", "kind": "ratio", "numerator": "fallbacks", "denominator": "page_views"}
    | {"role": "guardrail", "better": "down", "tolerance": 0.05},
]
SHOWN = f"""
    SELECT md5(i::VARCHAR) AS recommendation_id, 'large' AS experiment, 1 AS phase,
        ['control', 'treatment'][1 + (hash(u) % 2)::INTEGER] AS variant, false AS tester, 'user-' || u AS user_id,
        ['pure_new', 'new', 'low', 'medium', 'high'][1 + (hash(u + 1) % 5)::INTEGER] AS user_group,
        (u % 60)::INTEGER AS stored_events, '{{}}' AS attributes, 'sasrec-0123456789abcdef' AS bundle_id,
        CASE WHEN i % 20 = 0 THEN 'popular' ELSE 'model' END AS source, NULL::VARCHAR AS degraded,
        list_transform(range(20), k -> 'item-' || hash(i * 20 + k) % 12000) AS items,
        list_transform(range(20), k -> (20 - k)::FLOAT) AS scores, t AS timestamp, t + 0.01 AS received
    FROM (
        SELECT i, floor(pow(random(), 2) * {USERS})::BIGINT AS u, {BEGUN} + random() * {DAYS * DAY_SECONDS} AS t
        FROM range($count) AS numbers(i)
    )
"""
OUTCOMES = """
    SELECT recommendation_id || type AS event_id, user_id, items[1] AS item_id, type, timestamp + after AS timestamp,
        CASE type WHEN 'conversion' THEN 9.5 END AS value, recommendation_id, timestamp + after AS received
    FROM (
        SELECT *, row_number() OVER (ORDER BY hash(recommendation_id)) AS place FROM shown
    ), (VALUES ('click', 30, 0.9), ('conversion', 300, 0.1)) AS kinds(type, after, share)
    WHERE place <= share * $count
"""
BUILD = """
import json, re, sys, time
from pathlib import Path
from service.experiments.declarations import Experiment
from service.experiments.report.building import build_report
directory, experiment = Path(sys.argv[1]), Experiment.model_validate_json(sys.argv[2])
begun = time.perf_counter()
report = build_report(experiment, directory / "exposures", directory)
seconds = time.perf_counter() - begun
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # not its parent's
counted = [sum(getattr(one, name) for one in report.variants) for name in ("page_views", "clicks", "conversions")]
print(json.dumps({"seconds": seconds, "peak_memory_mb": peak, "ended": report.ended, "counted": counted}))
"""


def main() -> None:
    """Write the files, build the report some times, and record each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exposures", type=int, default=1_000_000)
    parser.add_argument("--outcomes", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        files = written(Path(folder), arguments.exposures, arguments.outcomes)
        print(f"{files} files written in {time.monotonic() - begun:.0f} s", flush=True)
        place = {"exposures": arguments.exposures, "outcomes": arguments.outcomes, "files": files, "users": USERS}
        for number in range(arguments.rounds):
            found = built(Path(folder))
            if not found["ended"] or found["counted"][0] != arguments.exposures:
                raise AssertionError(f"wanted every exposure in a report of the planned end, found {found}")
            if sum(found["counted"][1:]) != arguments.outcomes:
                raise AssertionError(f"wanted {arguments.outcomes} outcomes, found {found['counted'][1:]}")
            metrics = {name: found[name] for name in ("seconds", "peak_memory_mb")}
            record(
                arguments.results,
                kind="experiment",
                dataset="synthesized",
                method="report",
                metrics=metrics,
                asked_seconds=ASKED,
                run=number + 1,
                days=DAYS,
                **place,
            )
            print(f"{found['seconds']:.2f} s, {found['peak_memory_mb']:.0f} MB, asked below {ASKED:g} s", flush=True)


def written(directory: Path, exposures: int, outcomes: int) -> int:
    """Files of an hour each -> how many."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SELECT setseed(0.5)")
        connection.execute(f"CREATE TABLE shown AS {SHOWN}", {"count": exposures})
        connection.execute(f"CREATE TABLE caused AS {OUTCOMES}", {"count": outcomes})
        count = 0
        for table, folder in (("shown", directory / "exposures/experiment=large"), ("caused", directory)):
            connection.execute(f"CREATE INDEX {table}_received ON {table}(received)")
            for hour in range((DAYS + 1) * 24):
                begins = BEGUN + 3600 * hour
                day = folder / f"day={datetime.fromtimestamp(begins, UTC).date()}"
                day.mkdir(parents=True, exist_ok=True)
                rows = f"SELECT * FROM {table} WHERE received >= {begins} AND received < {begins + 3600}"
                target = day / f"{hour:04}.parquet"
                connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
                count += 1
    return count


def built(directory: Path) -> dict[str, object]:
    """What one process measured of itself."""
    phase = Phase(number=1, salt="s", weights=(5000, 5000), started=BEGUN, ends=BEGUN + DAYS * DAY_SECONDS)
    variants = [{"name": name, "weight": 5000} for name in ("control", "treatment")]
    declared = Declaration(name="large", layer="ranking", variants=variants, days=DAYS, metrics=METRICS)
    experiment = Experiment(**dict(declared), state="running", phases=(phase,))
    command = [sys.executable, "-c", BUILD, str(directory), experiment.model_dump_json()]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return dict(json.loads(found.stdout))


if __name__ == "__main__":
    main()
