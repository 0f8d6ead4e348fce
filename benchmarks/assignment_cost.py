"""What it costs a request to find the user's variants.

    python benchmarks/assignment_cost.py

Each row is a control state; the time is of one `Assignments.assign`, the median of rounds over 100,000 users.
"""

import argparse
import statistics
import time
from pathlib import Path

from rich.console import Console

from service.experiments.assignment import Assignments
from service.experiments.declarations import Declaration
from service.experiments.lifecycle import Experiments, created, started
from training.results import record

RESULTS = Path(__file__).parent / "results/experiment-assignment.jsonl"
USERS = [f"user-{number}" for number in range(100_000)]
ATTRIBUTES = {"country": "de", "category": "shoes"}
MICROSECONDS = 1e6
MOST = 5.0  # microseconds a request


def main() -> None:
    """Measure every row, and a line of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    for name, assignments in rows().items():
        found = [microseconds(assignments) for _ in range(arguments.rounds)]
        median = statistics.median(found)
        metrics = {"microseconds": median, "slowest": max(found), "asked": MOST}
        record(arguments.results, kind="experiment", method=name, rounds=arguments.rounds, metrics=metrics)
        Console().print(f"{name}: {median:.2f} us a request")


def rows() -> dict[str, Assignments]:
    """Name -> a control state, made ready."""
    targeted = {"user_groups": ["low", "medium"], "attributes": {"country": ["de", "at"]}}
    testers = {"treatment": [f"tester-{number}" for number in range(1000)]}
    return {
        "no experiment": Assignments(()),
        "1 experiment": Assignments(running(declared("one"))),
        "1 experiment, targeted, testers, hold-out": Assignments(
            running(declared("one", targeting=targeted, testers=testers)), holdout=0.05
        ),
        "3 experiments in one layer": Assignments(running(*(declared(name) for name in "abc"), share=0.3)),
        "2 layers": Assignments(running(*(declared(name, layer=name) for name in "ab"))),
    }


def declared(name: str, layer: str = "ranking", **more: object) -> Declaration:
    """Half and half."""
    halves = [{"name": "control", "weight": 5000}, {"name": "treatment", "weight": 5000}]
    metrics = [{"name": "vv", "kind": "mean", "numerator": "page_views"}]
    said = {"name": name, "layer": layer, "variants": halves, "days": 14, "metrics": metrics, **more}
    return Declaration.model_validate(said)


def running(*declarations: Declaration, share: float = 1.0) -> Experiments:
    """Each on that share of its layer."""
    them: Experiments = ()
    for one in declarations:
        them = started(created(them, one), one.name, share, time.time())
    return them


def microseconds(assignments: Assignments) -> float:
    """Of one user, on average over all."""
    began = time.perf_counter()
    for user in USERS:
        assignments.assign(user, "low", ATTRIBUTES)
    return (time.perf_counter() - began) / len(USERS) * MICROSECONDS


if __name__ == "__main__":
    main()
