"""The replay's second part: the store filled, the experiment started, the rest of the log replayed, its report.

    python run.py DIRECTORY --events EVENTS --bundles BUNDLES --url http://service:8000 --admin http://service:8001

DIRECTORY is what train.sh left. A run that was broken off goes on where it stopped; one that is over shows its report again.
"""

import argparse
import os
import re
import subprocess
import time
import urllib.request
from pathlib import Path

import yaml

SETTLED = 3.0  # seconds until every worker has loaded the variants' bundles
TYPES = "INTENTLY_SEQUENCE_EVENT_TYPES"
COUNTED = {  # what waits for the event log's writer -> what it has written; both count since the service started
    'intently_events_total{status="accepted"}': "intently_event_log_written_total",
    "intently_exposures_total": "intently_event_log_exposures_written_total",
}


def main() -> None:
    """One command of `intently-serve` after another."""
    if os.environ.get(TYPES) != '["interaction"]':
        raise SystemExit(
            f"error: set {TYPES}='[\"interaction\"]', for the service too: clicks must not enter sequences"
        )
    at = parsed()
    name = yaml.safe_load((at.directory / "experiment.yaml").read_text())["name"]
    first, rest = at.directory / "replayed/first.parquet", at.directory / "replayed/rest.parquet"
    serve("load", first)
    begin(name, at)
    serve("replay", rest, "--experiment", name, "--url", at.url, "--truth", "--out", at.directory / "replay.json")
    wait_until_written(at.admin)
    serve("auc", name, "--events", at.events, "--bundles", at.bundles, "--earlier", first, "--url", at.url)
    serve("experiments", "report", name, "--url", at.url)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--bundles", type=Path, required=True)
    parser.add_argument("--url", required=True, help="of the public port")
    parser.add_argument("--admin", required=True, help="URL of the admin port")
    return parser.parse_args()


def begin(name: str, at: argparse.Namespace) -> None:
    """On all users, unless an earlier run has begun it."""
    admin = ("--admin", at.admin)
    shown = subprocess.run(["intently-serve", "experiments", "show", name, *admin], capture_output=True, check=False)
    if shown.returncode != 0:
        serve("experiments", "create", at.directory / "experiment.yaml", *admin)
        serve("experiments", "start", name, "--share", 1, *admin)
        time.sleep(SETTLED)


def wait_until_written(admin: str) -> None:
    """Until the event log's files hold what the service has taken. Raises TimeoutError."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{admin}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        if all(total(written, metrics) >= total(taken, metrics) for taken, written in COUNTED.items()):
            return
        time.sleep(1)
    raise TimeoutError("the event log was not written within two minutes")


def total(metric: str, metrics: str) -> float:
    """The sum over its series."""
    lines = re.findall(rf"^{re.escape(metric)}(?:{{.*}})? (\S+)$", metrics, re.MULTILINE)
    return sum(map(float, lines))


def serve(*words: object) -> None:
    """One command, shown as one would type it."""
    command = ["intently-serve", *map(str, words)]
    print(f"\n$ {' '.join(command)}", flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
