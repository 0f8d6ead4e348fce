"""Reproduce the papers' tables on one dataset: a queue that continues where it stopped.

    python benchmarks/reproduce.py beauty --list
    python benchmarks/reproduce.py beauty --only 'papers-*' --limit 2
    python benchmarks/reproduce.py toys

Results go line by line to benchmarks/results/reproduce-DATASET.jsonl; what is there under the configuration of today
is not run again, a run that was killed continues from its checkpoint, a run that fails does not stop the others.
INTENTLY_DATASETS names the folder of the datasets.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from experiments import FILES
from progress import Run, all_runs, comparison, described, hours_left, is_done, pair, sampled, trained

from training.run_log import read_lines

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
BASELINES = ("popularity", "cooccurrence")
MAPPED = ("papers-s4rec", "papers-iclrec", "papers-elcrec")  # whose bundles are drawn as maps
Command = list[str]


def main() -> None:
    """Run what is missing, then draw and render."""
    arguments = parsed()
    results = arguments.results / f"reproduce-{arguments.dataset}.jsonl"
    pending = [run for run in all_runs(arguments.dataset, arguments.only) if not is_done(run, read_lines(results))]
    if arguments.list:
        print("\n".join(described(run, arguments.work) for run in pending))
        print(summary(pending, results))
        return
    pending = pending[: arguments.limit]
    data = arguments.data / arguments.dataset
    preparation = [*prepare(data), *([] if arguments.only else baselines(data, results))]
    if arguments.dry_run:
        chosen = [command for run in pending for command in steps(run, data, arguments.work, results)]
        print("\n".join(shlex.join(command) for command in preparation + chosen))
        return
    for command in preparation:
        subprocess.run(command, check=True)
    failed = run_all(pending, data, arguments.work, results)
    draw(arguments.dataset, data, arguments.work)
    if failed:
        raise SystemExit("failed:\n" + "\n".join(run.label for run in failed))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=FILES)
    parser.add_argument("--list", action="store_true", help="show what is still to run, and stop")
    parser.add_argument("--dry-run", action="store_true", help="show the commands, and stop")
    parser.add_argument("--only", help="runs whose name, as --list shows it, matches this pattern")
    parser.add_argument("--limit", type=int, help="at most this many runs")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where prepared datasets are")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="checkpoints, logs and bundles")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    return parser.parse_args()


def summary(pending: list[Run], results: Path) -> str:
    """How much is left."""
    hours = hours_left(pending, read_lines(results))
    return f"{len(pending)} runs to go" + (f", about {hours:.1f} h" if pending and hours is not None else "")


def run_all(pending: list[Run], data: Path, work: Path, results: Path) -> list[Run]:
    """Run after run, the page rendered after each; returns those that failed."""
    failed = []
    for number, run in enumerate(pending):
        print(f"{described(run, work)}; {summary(pending[number:], results)}", flush=True)
        # Made one by one: the evaluation needs the bundle that the training names.
        if any(subprocess.run(command, check=False).returncode for command in steps(run, data, work, results)):
            failed.append(run)
        elif run != pending[-1]:
            subprocess.run([sys.executable, HERE / "render.py"], check=False)
    return failed


def steps(run: Run, data: Path, work: Path, results: Path) -> Iterator[Command]:
    """The commands that a run still needs: its training, the legacy evaluation, the comparison with the whole."""
    experiment, bundles, record = run.experiment, run.bundles(work), ("--results", results)
    if trained(run, read_lines(results)) is None:
        changes = [word for setting in experiment.settings for word in ("--set", setting)]
        places = ["--data", data, "--out", bundles, "--work", run.folder(work)]
        yield intently("run", experiment.configuration, "--seed", run.seed, "--resume", *changes, *places, *record)
    lines = read_lines(results)
    line, together = trained(run, lines), pair(run, lines)
    if experiment.sampled and (line is None or sampled(line, lines) is None):
        bundle = bundles / line["bundle_id"] if line else bundles
        yield intently("evaluate", bundle, "--data", data, "--protocol", "sampled-100", *record)
    if together and experiment.against and comparison(together, lines) is None:
        places = [bundles / together[0], bundles.parent / experiment.against / together[1], "--data", data]
        yield intently("compare", *places, *record)


def prepare(data: Path) -> list[Command]:
    """The command that makes the prepared dataset from the raw file, when it is not there."""
    if data.is_dir():
        return []
    raw, file = os.environ.get("INTENTLY_DATASETS"), FILES[data.name]
    if raw is None:
        raise SystemExit(f"set INTENTLY_DATASETS to the folder of {file}: {data} is not prepared")
    core = ["--core", "0"] if data.name == "beauty-54k" else []
    return [intently("prepare", Path(raw) / file, "--out", data, *core)]


def baselines(data: Path, results: Path) -> list[Command]:
    """What ranks without learning, where it is not measured yet."""
    measured = {line.get("method") for line in read_lines(results)}
    return [
        intently("baseline", name, "--data", data, "--results", results) for name in BASELINES if name not in measured
    ]


def draw(dataset: str, data: Path, work: Path) -> None:
    """Figures, with maps of the bundles that there are, and the page."""
    roots = [work / dataset / "bundles" / name for name in MAPPED]
    bundles = [word for root in roots if root.is_dir() for word in ("--bundle", root)]
    subprocess.run([sys.executable, HERE / "figures.py", "--dataset", dataset, "--data", data, *bundles], check=True)
    subprocess.run([sys.executable, HERE / "render.py"], check=True)


def intently(*words: object) -> Command:
    """An `intently-train` command."""
    return [str(BIN / "intently-train"), *(str(word) for word in words)]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command continues") from None
