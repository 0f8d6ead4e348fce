"""How far a reproduction has come: which runs there are, what each still needs, how long the rest may take."""

import hashlib
import json
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from experiments import ABLATION, DEFAULT, NOISE, PAPER, SENSITIVITY, Experiment, experiments

from training.run_log import read_lines

Line = dict[str, Any]
# The first seed of each table before the further seeds of the next: (table, whether it is the first seed).
ORDER = ((PAPER, 1), (PAPER, 0), (DEFAULT, 1), (ABLATION, 1), (DEFAULT, 0), (SENSITIVITY, 1), (NOISE, 1))
UNBOUND = ("max_epochs", "patience", "seed")  # how long a run may take is not part of what it is


class Run(NamedTuple):
    """One training of an experiment on a dataset."""

    dataset: str
    experiment: Experiment
    seed: int

    @property
    def label(self) -> str:
        """What the queue calls it."""
        return f"{self.experiment.table}: {self.experiment.name} seed {self.seed}"

    def folder(self, work: Path) -> Path:
        """Where its checkpoint and log are; a changed configuration has another folder and begins anew."""
        content = json.dumps(identity(self.experiment.config(self.dataset).complete()), sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return work / self.dataset / f"{self.experiment.name}-seed{self.seed}-{digest}"

    def bundles(self, work: Path) -> Path:
        """The bundle root that all seeds of the experiment share, so that their intents can be compared."""
        return work / self.dataset / "bundles" / self.experiment.name


def all_runs(dataset: str, only: str | None = None) -> list[Run]:
    """Every run of the dataset whose name matches, each once, the most important first."""
    found = [Run(dataset, experiment, seed) for experiment in experiments(dataset) for seed in experiment.seeds]
    found.sort(key=lambda run: ORDER.index((run.experiment.table, int(run.seed == 1))))
    once = {(run.experiment.name, run.seed): run for run in reversed(found)}
    kept = [run for run in found if once[run.experiment.name, run.seed] is run]
    return [run for run in kept if only is None or fnmatch(run.experiment.name, only)]


def identity(config: Line) -> Line:
    """A complete configuration without what does not change the outcome's meaning."""
    training = {name: value for name, value in config.get("training", {}).items() if name not in UNBOUND}
    return {name: value for name, value in config.items() if name not in ("name", "intent_gate")} | {
        "training": training
    }


def is_current(line: Line, experiment: Experiment) -> bool:
    """Whether every value that a result line recorded is what the configuration says today.

    An option that came later is not held against the line: its default is what was done before.
    """
    recorded, now = identity(line["config"]), identity(experiment.config(line["dataset"]).complete())
    return all(_agree(value, now.get(name)) for name, value in recorded.items())


def _agree(recorded: Any, now: Any) -> bool:
    if isinstance(recorded, dict) and isinstance(now, dict):
        return all(_agree(value, now.get(name)) for name, value in recorded.items())
    return bool(recorded == now)


def trained(run: Run, lines: list[Line]) -> Line | None:
    """The newest test line of this run under the configuration of today."""
    found = [line for line in lines if line.get("split") == "test" and line.get("holdout", "last") == "last"]
    found = [line for line in found if run.experiment.matches(line, run.seed)]
    current = [line for line in found if is_current(line, run.experiment)]
    return current[-1] if current else None


def sampled(line: Line, lines: list[Line]) -> Line | None:
    """The line of the same bundle under the legacy protocol."""
    own = [other for other in lines if other.get("bundle_id") == line["bundle_id"]]
    return next((other for other in own if "sampled100/MRR" in other.get("metrics", {})), None)


def pair(run: Run, lines: list[Line]) -> list[str] | None:
    """The bundle ids of a run and of what it is compared with, once both are trained."""
    found = [experiment for experiment in experiments(run.dataset) if experiment.name == run.experiment.against]
    both = [trained(one, lines) for one in (run, run._replace(experiment=found[0]))] if found else [None]
    return [line["bundle_id"] for line in both if line] if all(both) else None


def comparison(bundles: list[str], lines: list[Line]) -> Line | None:
    """The paired bootstrap of two bundles."""
    return next((line for line in lines if line.get("compared") == bundles), None)


def is_done(run: Run, lines: list[Line]) -> bool:
    """Whether nothing is left to do for a run."""
    line, bundles = trained(run, lines), pair(run, lines)
    if line is None or (bundles and comparison(bundles, lines) is None):
        return False
    return not run.experiment.sampled or sampled(line, lines) is not None


def described(run: Run, work: Path) -> str:
    """A line of the queue: the run, and how far it had come when it was stopped."""
    epochs = [entry["epoch"] for entry in read_lines(run.folder(work) / "log.jsonl")]
    return run.label + (f" (stopped after epoch {epochs[-1]})" if epochs else "")


def hours_left(pending: list[Run], lines: list[Line]) -> float | None:
    """An estimate from what finished runs of the same configuration file took, else of any; None without one."""
    finished = [line for line in lines if line.get("split") == "test" and "seconds" in line]
    if not finished:
        return None
    overall = mean(line["seconds"] for line in finished)
    seconds = 0.0
    for run in pending:
        own = [line["seconds"] for line in finished if line.get("configuration") == run.experiment.configuration]
        seconds += mean(own) if own else overall
    return seconds / 3600
