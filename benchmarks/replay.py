"""Two methods in an A/B experiment on a replayed log, through the running service and a real Redis.

    python benchmarks/replay.py --log Beauty.txt --name beauty --pairs cl4srec:s4rec,sasrec:elcrec
    python benchmarks/replay.py --users 400 --set training.max_epochs=2     # a synthesized log, two minutes

Trains on the first 60 % of every sequence (what was trained before in --work is taken as it is), replays the rest over
five simulated days, and writes report and plots to docs/experiments. Needs redis-server or the Valkey binary of the
test dependencies.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from serving import BIN
from serving_load import redis_server, train
from serving_speed import READY, Row, Running, running, served

from service.bundle.files import BundleError, find_bundles, read_manifest
from training.results import record

HERE = Path(__file__).parent
DAYS, WORKERS = 5, 2
SETTLED = 3.0  # seconds until every worker has its bundles, and until the event log's writer was there again
SETTINGS = {
    "INTENTLY_SEQUENCE_EVENT_TYPES": '["interaction"]',
    "INTENTLY_EVENTS_SECONDS": "1",
    "INTENTLY_STORE_TIMEOUT": "2",  # a busy machine must not make lists without their history
}
METRICS = [
    {"name": "pvctr", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"},
    {"name": "uvctr", "kind": "proportion", "numerator": "clicks"},
    {"name": "cvr", "kind": "ratio", "numerator": "conversions", "denominator": "clicks"},
    {"name": "ctcvr", "kind": "ratio", "numerator": "conversions", "denominator": "page_views"},
    {"name": "vv", "kind": "mean", "numerator": "page_views", "role": "guardrail", "tolerance": 0.1},
]


def main() -> None:
    """Prepare, train, and one experiment a pair."""
    arguments = parsed()
    data = prepared(arguments)
    for pair in arguments.pairs.split(","):
        methods = pair.split(":")
        bundles = [trained(method, data, arguments) for method in methods]
        line = experiment(
            "-".join([arguments.name, *methods]), dict(zip(methods, bundles, strict=True)), data, arguments
        )
        record(arguments.results, kind="experiment", dataset=arguments.name, method=" against ".join(methods), **line)
    print("make render shows the effects in docs/benchmarks.md")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, help="a log that `prepare` takes; without it one is synthesized")
    parser.add_argument("--name", default="synthesized", help="of the data")
    parser.add_argument("--pairs", default="cl4srec:s4rec,sasrec:elcrec", help="control:treatment, separated by commas")
    parser.add_argument("--users", type=int, default=2000, help="of a synthesized log")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="as `intently-train run` takes it")
    parser.add_argument("--seed", type=int, default=1, help="of arrivals, clicks and conversions")
    parser.add_argument("--work", type=Path, default=Path(".replay"), help="prepared data, checkpoints, bundles")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs/experiments", help="for reports and plots")
    parser.add_argument("--results", type=Path, default=HERE / "results/experiment-replay.jsonl")
    return parser.parse_args()


def prepared(arguments: argparse.Namespace) -> Path:
    """The prepared dataset, with first.parquet and rest.parquet."""
    data, log = arguments.work / arguments.name / arguments.name, arguments.log
    if not data.is_dir():
        if log is None:
            raw = arguments.work / arguments.name / "raw"
            train("synthesize", "--out", raw, "--users", arguments.users)
            log = raw / "interactions.csv"
        train("prepare", log, "--holdout", "rest", "--first", "0.6", "--out", data)
    return data


def trained(method: str, data: Path, arguments: argparse.Namespace) -> str:
    """The id of its bundle; a training that was broken off goes on."""
    root, work = data.parent / "bundles", data.parent / f"run-{method}"
    if (found := bundle_of(method, root)) is None:
        settings = [word for one in arguments.settings for word in ("--set", one)]
        train("run", method, "--data", data, "--out", root, "--work", work, "--resume", *settings)
        found = bundle_of(method, root)
    assert found is not None
    return found


def bundle_of(method: str, root: Path) -> str | None:
    """The newest of that method."""
    for path in find_bundles(root) if root.is_dir() else []:
        try:
            if read_manifest(path).method == method:
                return path.name
        except BundleError:
            continue
    return None


def experiment(name: str, variants: dict[str, str], data: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run it from an empty store to its report -> what is recorded."""
    work, bundles = data.parent / name, data.parent / "bundles"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    found = {part: work / f"{part}.json" for part in ("replay", "report", "auc")}
    with redis_server(work) as redis:
        serve("load", data / "first.parquet", "--store", redis)
        row = Row(name, (*served(WORKERS), "--events", str(work / "events")), READY)
        with running(row, {"small": str(bundles), "redis": redis}, SETTINGS) as server:
            begin(name, variants, work, server)
            how = ("--experiment", name, "--url", server.url, "--seed", arguments.seed, "--truth")
            serve("replay", data / "rest.parquet", *how, "--out", found["replay"])
            wait_until_written(server)
            files = ("--events", work / "events", "--bundles", bundles, "--earlier", data / "first.parquet")
            serve("auc", name, "--url", server.url, *files, "--out", found["auc"])
            found["report"].write_text(reported(name, server, arguments.docs))
    parts = {part: json.loads(file.read_text()) for part, file in found.items()}
    cost = {key: parts["replay"]["replayed"][key] for key in ("requests/s", "requests", "seconds")}
    return {"variants": variants, **parts, "metrics": cost}


def begin(name: str, variants: dict[str, str], work: Path, server: Running) -> None:
    """Declare and start it on all users; the first variant is the control."""
    arms = [{"name": one, "weight": 5000, "bundle_id": bundle_id} for one, bundle_id in variants.items()]
    declared = {"name": name, "layer": "bundles", "variants": arms, "days": DAYS, "metrics": METRICS}
    (work / "experiment.yaml").write_text(yaml.safe_dump(declared, sort_keys=False))
    serve("experiments", "create", work / "experiment.yaml", "--admin", server.admin)
    serve("experiments", "start", name, "--share", 1, "--admin", server.admin)
    time.sleep(SETTLED)


def reported(name: str, server: Running, docs: Path) -> str:
    """Write Markdown and plots -> the report as JSON."""
    asked = ("experiments", "report", name, "--url", server.url)
    docs.mkdir(parents=True, exist_ok=True)
    text = asked_of(*asked, "--plots", docs)
    pictures = [f"![{file.stem}]({file.name})" for file in sorted(docs.glob(f"{name}-*.svg"))]
    (docs / f"{name}.md").write_text("\n\n".join([text.rstrip(), *pictures]) + "\n")
    return asked_of(*asked, "--json")


def serve(*words: object) -> None:
    """Run one `intently-serve` command and show what it says."""
    print(asked_of(*words), end="", flush=True)


def asked_of(*words: object) -> str:
    """What one `intently-serve` command says."""
    command, variables = [BIN / "intently-serve", *map(str, words)], os.environ | SETTINGS
    return subprocess.run(command, check=True, env=variables, stdout=subprocess.PIPE, text=True).stdout


def wait_until_written(server: Running) -> None:
    """Until the event log's buffer is empty. Raises TimeoutError."""
    time.sleep(SETTLED)  # the gauge is as old as the last write
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{server.admin}/metrics", timeout=10) as answer:
            if re.search(r"^intently_event_log_buffered_bytes 0\.0$", answer.read().decode(), re.MULTILINE):
                return
        time.sleep(1)
    raise TimeoutError("the event log was not written within two minutes")


if __name__ == "__main__":
    main()
