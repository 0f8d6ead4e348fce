"""Reproduce the papers' tables on one dataset: a queue that continues where it stopped.

    python benchmarks/reproduce.py beauty --list
    python benchmarks/reproduce.py beauty --only 'papers-*' --limit 2
    python benchmarks/reproduce.py toys

Results go line by line to benchmarks/results/reproduce-DATASET.jsonl; what is there is not run again, a run that was
killed continues from its checkpoint. INTENTLY_DATASETS names the folder of the datasets.
"""

import argparse
import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from experiments import FILES, Experiment, experiments

from training.run_log import read_lines

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
BASELINES = ("popularity", "cooccurrence")
Run = tuple[Experiment, int]


def main() -> None:
    """Run what is missing, then render."""
    arguments = parsed()
    dataset, results = arguments.dataset, arguments.results / f"reproduce-{arguments.dataset}.jsonl"
    pending = [run for run in all_runs(dataset, arguments.only) if not is_done(run, read_lines(results))]
    if arguments.list:
        print("\n".join(f"{experiment.table}: {experiment.name} seed {seed}" for experiment, seed in pending))
        print(f"{len(pending)} runs to go")
        return
    data = prepared(dataset, arguments.data)
    for name in BASELINES if not arguments.only else ():
        if not any(line.get("method") == name for line in read_lines(results)):
            intently("baseline", name, "--data", data, "--results", results)
    for number, run in enumerate(pending[: arguments.limit], start=1):
        print(f"run {number} of {len(pending)}: {run[0].table}, {run[0].name}, seed {run[1]}", flush=True)
        train(run, data, arguments.work, results)
    for program in ("figures.py", "render.py"):
        subprocess.run([sys.executable, HERE / program], check=True)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=FILES)
    parser.add_argument("--list", action="store_true", help="show what is still to run, and stop")
    parser.add_argument("--only", help="runs whose name, as --list shows it, matches this pattern")
    parser.add_argument("--limit", type=int, help="at most this many runs")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where prepared datasets are")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="checkpoints, logs and bundles")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    return parser.parse_args()


def all_runs(dataset: str, only: str | None) -> list[Run]:
    """Every run of the dataset that matches, seed by seed within an experiment."""
    return [
        (experiment, seed)
        for experiment in experiments(dataset)
        for seed in experiment.seeds
        if only is None or fnmatch(experiment.name, only)
    ]


def is_done(run: Run, lines: list[dict[str, Any]]) -> bool:
    """Whether the test metrics of a run are among the result lines."""
    experiment, seed = run
    return any(line.get("split") == "test" and experiment.matches(line, seed) for line in lines)


def prepared(dataset: str, folder: Path) -> Path:
    """The prepared dataset; it is made from the raw file when it is not there."""
    data = folder / dataset
    if not data.is_dir():
        raw = os.environ.get("INTENTLY_DATASETS")
        if raw is None:
            raise SystemExit(f"set INTENTLY_DATASETS to the folder of {FILES[dataset]}: {data} is not prepared")
        core = ["--core", "0"] if dataset == "beauty-54k" else []
        intently("prepare", Path(raw) / FILES[dataset], "--out", data, *core)
    return data


def train(run: Run, data: Path, work: Path, results: Path) -> None:
    """One run in a process of its own; a run that was killed before continues."""
    experiment, seed = run
    folder = work / data.name / f"{experiment.name}-seed{seed}"
    bundles = work / data.name / "bundles" / experiment.name
    changes = [word for setting in experiment.settings for word in ("--set", setting)]
    places = ["--data", data, "--out", bundles, "--work", folder, "--results", results]
    intently("run", experiment.configuration, "--seed", seed, "--resume", *changes, *places)
    if experiment.sampled:
        intently("evaluate", bundles, "--data", data, "--protocol", "sampled-100", "--results", results)


def intently(*words: object) -> None:
    """Run one `intently-train` command; stop the queue when it fails."""
    subprocess.run([BIN / "intently-train", *(str(word) for word in words)], check=True)


if __name__ == "__main__":
    main()
