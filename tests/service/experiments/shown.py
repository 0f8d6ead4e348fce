"""Lists that were shown: as entries of the buffer and as rows of the files."""

import json
from pathlib import Path
from typing import Any

import duckdb

from service.experiments.assignment import Assignments
from service.experiments.exposures import entry
from service.experiments.lifecycle import Experiments
from tests.service.experiments.declared import declaration, running

ARMS = [{"name": "control", "weight": 5000}, {"name": "treatment", "weight": 5000, "options": {"diversity": 0.5}}]


def both() -> Experiments:
    """Two layers; `t` is a tester of one of them."""
    plain = [{"name": "a", "weight": 5000}, {"name": "b", "weight": 5000}]
    blend = declaration(variants=ARMS, testers={"treatment": ["t"]})
    return running(blend, declaration("other", layer="other", variants=plain))


def exposed(user_id: str, received: float, experiments: Experiments = (), **answer: Any) -> bytes:
    """One entry of the buffer."""
    said = {"recommendation_id": f"{user_id}-{received}", "items": ["a"], "scores": [0.5]}
    answered = json.dumps({**said, "bundle_id": "x-0123456789abcdef", "source": "model", **answer})[1:-1].encode()
    assigned = Assignments(experiments or running(declaration())).assign(user_id)
    about = {"user_group": "new", "stored_events": 1, "attributes": {}, "timestamp": received, "received": received}
    return entry(answered, assigned, user_id=user_id, **about)  # type: ignore[arg-type]


def rows(directory: Path, columns: str = "user_id") -> list[Any]:
    """What the exposure files hold, in order of receipt."""
    if not list(directory.glob("exposures/*/*/*.parquet")):
        return []
    source = f"read_parquet('{directory}/exposures/*/*/*.parquet', hive_partitioning = false)"
    found = duckdb.execute(f"SELECT {columns} FROM {source} ORDER BY received, experiment").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]
