"""Experiments to test with."""

from typing import Any

from service.experiments.declarations import Declaration, Experiment
from service.experiments.lifecycle import Experiments, created, started

METRICS = [{"name": "pvctr", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"}]
NOW = 1_767_268_800.0  # 2026-01-01T12:00:00Z
USERS = [f"user-{number}" for number in range(4000)]


def declaration(name: str = "blend", layer: str = "ranking", **more: Any) -> Declaration:
    """Half and half, for two weeks, unless it says otherwise."""
    halves = [{"name": "control", "weight": 5000}, {"name": "treatment", "weight": 5000}]
    return Declaration.model_validate(
        {"name": name, "layer": layer, "variants": halves, "days": 14, "metrics": METRICS, **more}
    )


def running(*declarations: Declaration, share: float = 1.0) -> Experiments:
    """All of them, each started on that share of its layer."""
    them: Experiments = ()
    for one in declarations:
        them = started(created(them, one), one.name, share, NOW)
    return them


def salted(experiment: Experiment, salt: str) -> Experiment:
    """With a salt that is the same in every run."""
    phases = (*experiment.phases[:-1], experiment.phases[-1].model_copy(update={"salt": salt}))
    return experiment.model_copy(update={"phases": phases})
