"""docs/conformance/assignment.jsonl, as this implementation would write it.

    python -m tests.service.experiments.conformance_file > docs/conformance/assignment.jsonl

Three kinds of lines: buckets, states (experiments and the hold-out), and who is assigned what in a state.
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any

from service.experiments.activity import GROUPS
from service.experiments.assignment import Assignments
from service.experiments.declarations import Experiment
from service.experiments.hashing import HASH_VERSION, bucket
from service.experiments.lifecycle import ramped, stopped
from tests.service.experiments.declared import NOW, declaration, running, salted

SALTS = ("holdout", "layer:ranking", "layer:bundles", "blend:5f0c9d1e2b3a4857", "")
USERS = (
    *(f"user-{number}" for number in range(40)),
    *(
        "",
        " ",
        "user 1",
        "0",
        "\u00fcser",
        "u\u0308ser",
        "用户-1",
        "пользователь",
        "🙂",
        "👩‍👩‍👧",
        "a:b",
        'quote"\\',
        "\x00\n\t",
        "z" * 256,
    ),
)
THREE = (("a", 3334), ("b", 3333), ("c", 3333))


def states() -> dict[str, tuple[tuple[Experiment, ...], float]]:
    """Name -> experiments, hold-out."""
    blend = declaration("blend", testers={"treatment": ["用户-1", "user-3"], "control": ["user-4"]})
    crowded = running(blend, declaration("diversity", variants=arms(*THREE)), share=0.3)
    crowded = ramped(stopped(running(*(declaration("gone"),), share=0.2) + crowded, "gone", NOW), "blend", 0.5)
    groups = {
        "user_groups": ["low", "high"],
        "attributes": {"country": ["de", "日本"], "age": [30, 31.5], "new": [True]},
    }
    layered = running(
        declaration("blend", "ranking"),
        declaration("bundles", "bundles", variants=arms(("old", 9000), ("new", 1000)), targeting=groups),
    )
    return {"crowded": (fixed(crowded), 0.0), "layers, hold-out": (fixed(layered), 0.1)}


def arms(*weights: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"name": name, "weight": weight} for name, weight in weights]


def fixed(experiments: tuple[Experiment, ...]) -> tuple[Experiment, ...]:
    """With salts that are the same in every run."""
    return tuple(salted(one, f"{number:02d}5f0c9d1e2b3a48") for number, one in enumerate(experiments))


def lines() -> Iterator[str]:
    """The file, line by line."""
    for salt, user_id in itertools.product(SALTS, USERS):
        yield written({"hash_version": HASH_VERSION, "salt": salt, "user_id": user_id, "bucket": bucket(salt, user_id)})
    for name, (experiments, holdout) in states().items():
        kept = [one.model_dump(mode="json", exclude={"metrics", "description"}) for one in experiments]
        yield written({"state": name, "holdout": holdout, "experiments": kept})
        for user_id, (group, attributes) in itertools.product(USERS, circumstances(name)):
            asked = {"state": name, "user_id": user_id, "user_group": group, "attributes": attributes}
            found = Assignments(experiments, holdout).assign(user_id, group, attributes)
            assigned = [
                {"experiment": one.experiment, "phase": one.phase, "variant": one.variant, "tester": one.tester}
                for one in found
            ]
            yield written({**asked, "assigned": assigned})


def circumstances(name: str) -> list[tuple[Any, dict[str, Any]]]:
    """User groups and attributes of requests."""
    if name == "crowded":
        return [("new", {})]
    right = {"country": "日本", "age": 31.5, "new": True}
    return [*((group, right) for group in GROUPS), ("low", right | {"age": 30.0}), ("low", {"country": "de"})]


def written(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False)


if __name__ == "__main__":
    for line in lines():
        print(line)
