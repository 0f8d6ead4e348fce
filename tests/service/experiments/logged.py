"""Exposure files and event files as the service writes them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from service.event_log.entries import LoggedEvent
from service.event_log.files import EventFiles
from service.experiments.declarations import Experiment
from tests.service.experiments.declared import NOW, declaration, running

DAY = 86_400.0
CONTROL, TREATMENT = "control", "treatment"
Row = dict[str, Any]
METRICS = [
    {"name": "pvctr", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"},
    {"name": "uvctr", "kind": "proportion", "numerator": "clicks"},
    {"name": "vv", "kind": "mean", "numerator": "page_views"},
]


def started(days: int = 3, **more: Any) -> Experiment:
    """Half and half, from NOW on, an hour for outcomes to come."""
    declared = declaration(**{"days": days, "metrics": METRICS, "attribution_seconds": 3600.0} | more)
    return running(declared)[0]


def exposure(user: str, variant: str, at: float, **more: Any) -> Row:
    """`at`: seconds after NOW."""
    identity = {"recommendation_id": f"{user}@{at}", "user_id": user, "variant": variant, "experiment": "blend"}
    state = {"phase": 1, "tester": False, "user_group": "new", "stored_events": 3, "attributes": {}}
    answer = {"bundle_id": "b", "source": "model", "items": ["i"], "scores": [1.0]}
    times = {"timestamp": NOW + at, "received": NOW + at}
    return identity | state | answer | times | more


def outcome(shown: Row, after: float = 60.0, type: str = "click", **more: Any) -> LoggedEvent:  # noqa: A002
    """An event on what was shown, so many seconds later."""
    at = shown["timestamp"] + after
    fields: Row = {"user_id": shown["user_id"], "item_id": "i", "type": type, "timestamp": at, "value": None}
    fields |= {"event_id": f"{shown['recommendation_id']} {type} {after}", "received": at}
    return LoggedEvent(**{**fields, "recommendation_id": shown["recommendation_id"], **more})


def simulated(uplift: float = 0.0, users: int = 1500, days: int = 3) -> tuple[list[Row], list[LoggedEvent]]:
    """Users who come on each of the days with a chance of their own, and click every fifth list."""
    generator, rows, events = np.random.default_rng(1), [], []
    for user in range(users):
        variant = (CONTROL, TREATMENT)[user % 2]
        often = generator.beta(2, 2)
        for day in range(days):
            for view in range(generator.binomial(4, often)):
                at = day * DAY + 1000 * view + user
                shown = exposure(f"u{user}", variant, at, user_group=("new", "high")[user % 3 == 0])
                rows.append(shown)
                if generator.random() < 0.2 * (1 + uplift * (variant == TREATMENT)):
                    events.append(outcome(shown))
        if generator.random() < 0.9:  # what they did before tells how often they come
            rows += [exposure(f"u{user}", "b", n - DAY, experiment="earlier") for n in range(round(10 * often))]
    return rows, events


def write(directory: Path, exposures: Iterable[Row], events: Iterable[LoggedEvent] = (), name: str = "1") -> Path:
    """One file an experiment and day, and one a day of events, all called `name`."""
    files = EventFiles(directory)
    files.add_exposures([_entry(row) for row in exposures], name)
    files.add(list(events), name)
    return directory


def _entry(row: Row) -> bytes:
    """As it lies in the buffer."""
    assigned = {name: row[name] for name in ("experiment", "phase", "variant", "tester")}
    rest = {name: it for name, it in row.items() if name not in assigned}
    return orjson.dumps({"exposed": [assigned], **rest}) + b"\n"
