"""The capacity plan of docs/operations.md is arithmetic on what was measured: nothing in it can go stale unseen."""

import json
import math
import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results"
PLAN = (ROOT / "docs/operations.md").read_text().partition("## Capacity")[2]
VIEWS_A_USER = 2.6  # a day: 130 million of 50 million users
PEAK = 4  # times the average
BUSY, ZONES = 0.6, 3  # how much of what was measured is asked of a replica at the peak, while one zone of three is gone
PRIMARY_GB = 16
STORED = (50, 200)  # events a user
EPOCHS = 30  # the papers' data took 27 to 38


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def medians(found: list[dict[str, Any]], metric: str) -> float:
    return median(line["metrics"][metric] for line in found)


def lists_a_second() -> float:
    """The rounds of the newest run, as docs/benchmarks.md has them: all users in an experiment."""
    found = {(line["method"], line["round"]): line for line in lines("experiment-exposures")}
    return medians([line for (name, _), line in found.items() if name.startswith("with an")], "requests/s")


def posts_a_second() -> float:
    return medians([line for line in lines("serving-events") if line["events_a_post"] == 1], "requests/s")


def bytes_a_user(events: int) -> float:
    found = [line for line in lines("store-memory") if (line["events_per_user"], line["stored_days"]) == (events, None)]
    return float([line for line in found if "redis" in line["method"]][-1]["metrics"]["bytes_per_user"])


def bytes_an_event() -> float:
    found = [line["metrics"] for line in lines("serving-runbooks")]
    return float([one["event log, bytes an event"] for one in found if "event log, bytes an event" in one][-1])


def sequences_a_second() -> float:
    """The default configuration of iclrec on Beauty: 22,363 users, 12,101 items, two cores."""
    found = [
        line for line in lines("reproduce-beauty") if line.get("configuration") == "iclrec" and not line["settings"]
    ]
    return 22_363 / median(line["seconds_per_epoch"] for line in found if line["split"] == "test")


def loaded_a_second() -> float:
    return float(
        [line for line in lines("store-load") if line["method"] == "redis"][-1]["metrics"]["events_per_second"]
    )


def short(value: float) -> str:
    """Three digits, as the page writes numbers."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def planned(users: int) -> list[str]:
    """A row of the table."""
    views = users * VIEWS_A_USER
    peak = views / 86_400 * PEAK
    replicas = peak * (1 / lists_a_second() + 1 / posts_a_second()) / BUSY * ZONES / (ZONES - 1)
    redis = [users * bytes_a_user(events) / 1e9 for events in STORED]
    return [
        f"{users // 10**6} million",
        f"{views / 1e6:g} million",
        f"{short(views / 86_400)} / {short(peak)}",
        str(max(3, math.ceil(replicas))),
        " / ".join(map(short, redis)),
        " / ".join(str(math.ceil(size / PRIMARY_GB)) for size in redis),
        short(views * bytes_an_event() / 1e9),
        short(users * 50 / loaded_a_second() / 60),
        short(users / sequences_a_second() / 60),
        short(users / sequences_a_second() / 3600 * EPOCHS),
    ]


@pytest.mark.parametrize("users", [10**6, 10**7, 5 * 10**7])
def test_every_row_follows_from_measurements(users: int) -> None:
    [row] = [line for line in PLAN.splitlines() if line.startswith(f"| {users // 10**6} million |")]
    assert [cell.strip() for cell in row.strip("|").split("|")] == planned(users)


def test_what_was_measured_is_quoted_as_it_was() -> None:
    for value in (
        lists_a_second(),
        posts_a_second(),
        *map(bytes_a_user, STORED),
        bytes_an_event(),
        sequences_a_second(),
        loaded_a_second(),
    ):
        assert re.search(rf"\b{re.escape(short(value))}\b", PLAN), short(value)
    assert f"{BUSY:.0%}".replace("%", " %") in PLAN
    assert f"{PRIMARY_GB} GB" in PLAN
