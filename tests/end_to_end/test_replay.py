"""A log replayed through real processes: the effect that is there is the one that is found."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from service.admin_client import AdminClient
from service.experiments.report.building import build_report
from service.experiments.report.contents import Interval, Report
from tests.conftest import TINY_ITEMS, write_tiny_bundle
from tests.service.test_processes import Service, eventually

USERS, STEPS = 500, 3
METRICS = [
    {"name": "pvctr", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"},
    {"name": "uvctr", "kind": "proportion", "numerator": "clicks"},
    {"name": "seconds", "kind": "mean", "numerator": "seconds"},
]
UNSURE = 0.0001  # alpha: variants are drawn anew in every run of the test


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Two that know the same items, and rank them differently: after a, one shows b first, the other e."""
    root = tmp_path_factory.mktemp("bundles")
    names = {"old": TINY_ITEMS, "new": ["a", "e", "c", "d", "b", "f"]}
    old, new = (write_tiny_bundle(root, name, items).name for name, items in names.items())
    return root, old, new


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """first.csv: everybody has had a; rest.csv: three of the other five items, b more often first."""
    folder, drawn = tmp_path_factory.mktemp("log"), random.Random(1)
    first, rest = ["user_id,item_id,timestamp"], ["user_id,item_id,timestamp"]
    for number in range(USERS):
        others = drawn.sample("cdef", 4)
        items = ["b", *others] if drawn.random() < 0.9 else [*others, "b"]
        first.append(f"u{number},a,1")
        rest += [f"u{number},{item},{place}" for place, item in enumerate(items[:STEPS], start=2)]
    (folder / "first.csv").write_text("\n".join(first) + "\n")
    (folder / "rest.csv").write_text("\n".join(rest) + "\n")
    return folder


@pytest.fixture
def served(
    bundles: tuple[Path, str, str], log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """The service with the store filled and an event log in tmp_path/events."""
    monkeypatch.setenv("INTENTLY_SEQUENCE_EVENT_TYPES", '["interaction"]')
    monkeypatch.setenv("INTENTLY_EVENTS_SECONDS", "0.2")
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    command("load", log / "first.csv", "--store", store)
    service = Service(bundles[0], store, more=["--events", str(tmp_path / "events")])
    eventually(service.ready)
    yield service
    if service.process.poll() is None:
        service.stop()


def command(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    called = [sys.executable, "-m", "service.cli", *map(str, words)]
    return subprocess.run(called, check=check, capture_output=True, text=True, timeout=120)


def begin(service: Service, folder: Path, name: str, *bundle_ids: str) -> None:
    """Start an experiment between control and treatment, half of the users each, and wait until it is there."""
    variants: list[dict[str, Any]] = [{"name": one, "weight": 5000} for one in ("control", "treatment")]
    for variant, bundle_id in zip(variants, bundle_ids, strict=False):
        variant["bundle_id"] = bundle_id
    declaration = {
        "name": name,
        "layer": "bundles",
        "variants": variants,
        "days": 5,
        "metrics": METRICS,
        "alpha": UNSURE,
    }
    (folder / f"{name}.json").write_text(json.dumps(declaration))
    command("experiments", "create", folder / f"{name}.json", "--admin", service.admin)
    command("experiments", "start", name, "--share", "1", "--admin", service.admin)

    def running() -> bool:
        with service.client() as client:
            return client.experiment(name).state == "running"

    eventually(running)
    time.sleep(0.5)


def reported_uplift(service: Service, name: str, folder: Path) -> Interval:
    """Of the click rate, once the files hold every list and every click that the replay counted."""
    replayed = json.loads((folder / "out.json").read_text())["replayed"]
    counted = [(replayed["exposures"][one], replayed["clicks"][one]) for one in ("control", "treatment")]
    with AdminClient(service.admin) as admin:
        experiment = admin.experiment(name)

    def built() -> Report:
        return build_report(experiment, folder / "events/exposures", folder / "events")

    eventually(lambda: [(arm.page_views, arm.clicks) for arm in built().variants] == counted)
    found = built()
    assert (found.ended, found.valid) == (True, "at the planned end")
    [treatment] = found.treatments
    uplift = next(one.uplift for one in treatment.overall if one.metric == "pvctr")
    assert uplift is not None
    assert uplift.high is not None
    return uplift


def test_a_planted_uplift_is_found_and_lies_in_the_interval(served: Service, log: Path, tmp_path: Path) -> None:
    """Two variants of one bundle, and users who click the treatment's lists 80 % more often."""
    begin(served, tmp_path, "planted")
    where = ("--experiment", "planted", "--url", served.url, "--out", tmp_path / "out.json")
    model = ("--click", 0.5, "--uplift", "treatment=0.8", "--position-bias", 0.5, "--truth")
    told = command("replay", log / "rest.csv", *where, *model).stdout
    found = json.loads((tmp_path / "out.json").read_text())
    truth = found["truth"]["pvctr"]
    assert truth["treatment"] / truth["control"] == pytest.approx(1.8)
    assert "seconds" not in found["plan"], "a replay brings no view time about"
    assert [day["day"] for day in found["plan"]["pvctr"]] == [1, 2, 3, 4, 5]
    places = [told.index(one) for one in ("pvctr: 500 users in 5 days find an uplift of", "steps: 1500", "report:")]
    assert places == sorted(places)
    assert sum(found["replayed"]["exposures"].values()) == found["replayed"]["steps"] == USERS * STEPS
    uplift = reported_uplift(served, "planted", tmp_path)
    assert 0 < uplift.low <= 0.8 <= uplift.high


def test_the_effect_between_two_bundles_is_the_one_that_was_computed(
    served: Service, bundles: tuple[Path, str, str], log: Path, tmp_path: Path
) -> None:
    """`--truth` asks both bundles for every list; the experiment, which asks one a user, must agree."""
    begin(served, tmp_path, "bundles", *bundles[1:])
    places = ("--experiment", "bundles", "--url", served.url, "--truth", "--out", tmp_path / "out.json")
    command("replay", log / "rest.csv", *places, "--position-bias", 2)
    truth = json.loads((tmp_path / "out.json").read_text())["truth"]["pvctr"]
    uplift = truth["treatment"] / truth["control"] - 1
    files = ("--events", tmp_path / "events", "--bundles", bundles[0], "--earlier", log / "first.csv")
    found = reported_uplift(served, "bundles", tmp_path)
    assert found.low <= uplift <= found.high
    assert found.high < 0
    command("auc", "bundles", "--url", served.url, *files, "--out", tmp_path / "auc.json")
    aucs = json.loads((tmp_path / "auc.json").read_text())["ctr"]
    assert set(aucs) == {"all", *(f"day {day}" for day in range(1, 6)), "lists of control", "lists of treatment"}
    assert aucs["all"]["treatment"] < aucs["all"]["control"], "b, which most go for, is third instead of first"
    assert aucs["all"]["high"] < 0


def test_a_replay_that_was_killed_goes_on_and_repeats_nothing(served: Service, log: Path, tmp_path: Path) -> None:
    """Every held-out interaction is there once, each click once; at most a list a connection was shown twice."""
    begin(served, tmp_path, "again")
    words = ["replay", log / "rest.csv", "--experiment", "again", "--url", served.url, "--out", tmp_path / "out.json"]
    first = subprocess.Popen([sys.executable, "-m", "service.cli", *map(str, words)], stdout=subprocess.DEVNULL)
    eventually(lambda: interactions(served, users=25) > 10)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert interactions(served) < USERS * STEPS, "it was killed on its way"
    command(*words)
    found = json.loads((tmp_path / "out.json").read_text())["replayed"]
    assert found["steps"] + found["steps done before"] == USERS * STEPS
    assert found["steps done before"] > 0
    command(*words)
    assert json.loads((tmp_path / "out.json").read_text())["replayed"]["steps"] == 0
    assert served.stop()[0] == 0
    events, shown = f"{tmp_path}/events/day=*/*.parquet", f"{tmp_path}/events/exposures/*/*/*.parquet"
    query = "SELECT count(*), count(DISTINCT event_id) FROM read_parquet(?, hive_partitioning = false) WHERE type = "
    assert duckdb.execute(query + "'interaction'", [events]).fetchone() == (USERS * STEPS, USERS * STEPS)
    clicks, distinct = duckdb.execute(query + "'click'", [events]).fetchall()[0]
    assert clicks == distinct > 100
    query = "SELECT count(*) FROM read_parquet(?, hive_partitioning = false)"
    [exposures] = duckdb.execute(query, [shown]).fetchall()[0]
    assert USERS * STEPS <= exposures <= USERS * STEPS + 16


def interactions(service: Service, users: int = USERS) -> int:
    """How many held-out ones of the first users are stored."""
    with service.client() as client:
        return sum(len(client.user(f"u{number}").interactions) - 1 for number in range(users))


def test_what_would_spoil_a_replay_is_a_sentence(
    served: Service, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An experiment that does not run, a variant there is not, a history that reaches into the days."""
    begin(served, tmp_path, "refused")
    rest, places = log / "rest.csv", ("--experiment", "refused", "--url", served.url)

    def said(*words: object) -> str:
        ended = command("replay", *words, check=False)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        return ended.stderr

    assert "404 unknown_experiment" in said(rest, "--experiment", "nobody", "--url", served.url)
    assert "error: 'refused' has no variant other" in said(rest, *places, "--uplift", "other=0.1", "--click", 0.5)
    assert "error: --uplift: wanted VARIANT=0.1, found 'much'" in said(rest, *places, "--uplift", "much")
    assert "the chance of a click must lie between 0 and 1" in said(rest, *places, "--click", 2)
    (tmp_path / "now.csv").write_text(f"user_id,item_id,timestamp\nu7,f,{time.time()}\n")
    command("load", tmp_path / "now.csv", "--store", f"sqlite:///{tmp_path}/store.sqlite3")
    assert "history of 'u7' does not end before the days that are replayed" in said(rest, *places)
    command("experiments", "stop", "refused", "--admin", served.admin)
    time.sleep(1.5)
    assert "error: 'refused' is stopped: start it first" in said(rest, *places)


def test_clicks_that_would_enter_the_sequences_stop_it(
    bundles: tuple[Path, str, str], log: Path, tmp_path: Path
) -> None:
    """As the service is set by default."""
    service = Service(bundles[0], f"sqlite:///{tmp_path}/store.sqlite3", more=["--events", str(tmp_path / "events")])
    eventually(service.ready)
    begin(service, tmp_path, "default")
    ended = command("replay", log / "rest.csv", "--experiment", "default", "--url", service.url, check=False)
    assert ended.returncode == 1
    assert """run the service with INTENTLY_SEQUENCE_EVENT_TYPES='["interaction"]'""" in ended.stderr
    assert service.stop()[0] == 0
