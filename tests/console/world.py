"""A shop to look at: bundles that were trained, users who are stored, experiments with days behind them, a service."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.admin_client import AdminClient
from service.event_log.entries import LoggedEvent
from service.experiments.declarations import Declaration
from tests.http_calls import call
from tests.service.experiments.declared import NOW
from tests.service.experiments.logged import DAY, Row, exposure, outcome, write
from tests.service.test_processes import Service, eventually
from training.config import TrainingConfig
from training.interactions import prepare
from training.pipeline import run_training
from training.synthesis import SynthesisOptions, synthesize

METRICS = [
    {"name": "click_rate", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"},
    {"name": "buyers", "kind": "proportion", "numerator": "conversions"},
]
GROUPS = ("new", "low", "medium", "high")
CLICKS = {"new": 0.10, "low": 0.14, "medium": 0.18, "high": 0.22}
LISTS = {"new": 1, "low": 1, "medium": 2, "high": 3}  # a day on which somebody comes


@dataclass(frozen=True)
class Size:
    """How large it is, and how long its models are trained."""

    users: int
    items: int
    intents: int
    epochs: int
    shoppers: int  # of each experiment
    days: int


def data_of(folder: Path, size: Size) -> Path:
    """A synthesized log and what is prepared of it."""
    synthesize(folder / "raw", SynthesisOptions(users=size.users, items=size.items, intents=size.intents))
    prepare(folder / "raw/interactions.csv", folder / "data", items=folder / "raw/items.csv")
    return folder / "data"


def trained(folder: Path, method: str, size: Size) -> Path:
    """A bundle of that method in `folder`/bundles."""
    config = TrainingConfig.model_validate(
        {
            "name": f"{method}-shop",
            "method": method,
            "encoder": {"hidden": 32, "layers": 1, "dropout": 0.2},
            "options": {"num_intents": size.intents},
            "training": {"learning_rate": 0.005, "max_epochs": size.epochs},
        }
    )
    run = run_training(config, data=folder / "data", out=folder / "bundles", work=folder / "work" / method)
    assert run is not None
    return run.published.path


def filled(folder: Path) -> None:
    """The log's users in the store, as `intently-serve load` puts them there."""
    command = [sys.executable, "-m", "service.cli", "load", str(folder / "raw/interactions.csv")]
    subprocess.run([*command, "--store", f"sqlite:///{folder}/store.sqlite3"], check=True, capture_output=True)


@contextmanager
def serving(folder: Path, *more: str) -> Iterator[Service]:
    """The service over `folder`/bundles, ready, with the log's users in its store and an event log."""
    service = Service(
        folder / "bundles", f"sqlite:///{folder}/store.sqlite3", more=["--events", str(folder / "events"), *more]
    )
    try:
        eventually(service.ready)
        yield service
    finally:
        code, errors = service.stop()
        assert code == 0, errors


def declare(service: Service, name: str, layer: str, days: int, options: dict[str, Any], description: str) -> None:
    """A draft with a control and one treatment."""
    arms = [{"name": "control", "weight": 5000}, {"name": name, "weight": 5000, "options": options}]
    declared = {"name": name, "layer": layer, "variants": arms, "days": days, "metrics": METRICS}
    with AdminClient(service.admin) as admin:
        admin.create(Declaration.model_validate({**declared, "description": description}))


def start(service: Service, name: str, share: float) -> None:
    """It runs, and the worker knows."""
    with AdminClient(service.admin) as admin:
        admin.start(name, share)
    eventually(lambda: call(f"{service.url}/v1/experiments/{name}")["state"] == "running")


def days_behind(
    folder: Path, name: str, size: Size, *, uplift: float, days: int, treated: float = 0.5, ended: bool = False
) -> None:
    """Exposures and their outcomes of a running experiment as a replay would have them written, `days` days until now.

    Clicks of the treatment are more likely by `uplift`, and twice that in the group `high`. When it is `ended` the days
    lie far enough back for the last outcome to have come.
    """
    drawn = random.Random(f"{name} 7")
    began = time.time() - (days + (2 if ended else 0.3)) * DAY - NOW
    shown: list[Row] = []
    outcomes: list[LoggedEvent] = []
    for number in range(size.shoppers):
        group = GROUPS[number % len(GROUPS)]
        variant = name if drawn.random() < treated else "control"
        gain = 1 + (uplift * (2 if group == "high" else 1) if variant == name else 0)
        came = [day for day in range(days) if drawn.random() < 0.35]
        for day, visit in ((day, visit) for day in came for visit in range(LISTS[group])):
            at = began + day * DAY + drawn.random() * 0.9 * DAY
            more = {"experiment": name, "user_group": group, "received": time.time()}
            identity = {"recommendation_id": f"{name} {number} {day} {visit}"}
            shown.append(exposure(f"shopper-{number}", variant, at, **more, **identity))
            if drawn.random() < CLICKS[group] * gain:
                outcomes.append(outcome(shown[-1]))
                if drawn.random() < 0.12:
                    outcomes.append(outcome(shown[-1], 600.0, "conversion"))
    write(folder / "events", shown, outcomes, name=f"behind-{name}")
