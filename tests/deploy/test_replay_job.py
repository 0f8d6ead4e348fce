"""The replay of docker-compose.yml: its job against a real service, with the experiment that its training declares."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.conftest import TINY_ITEMS, write_tiny_bundle
from tests.service.test_processes import Service, eventually

ROOT = Path(__file__).parents[2]
JOB = ROOT / "deploy/replay"
USERS, STEPS = 60, 3
TYPES = {"INTENTLY_SEQUENCE_EVENT_TYPES": '["interaction"]'}


def declare(directory: Path, bundles: dict[str, str]) -> None:
    """experiment.yaml as train.sh writes it, with these bundles."""
    found = re.search(r"<<END\n(.*?)^END$", (JOB / "train.sh").read_text(), re.DOTALL | re.MULTILINE)
    assert found
    text = re.sub(r"\$\(basename /bundles/(\w+)-replayed-\*\)", lambda its: bundles[its[1]], found[1])
    (directory / "experiment.yaml").write_text(text)


def write_log(directory: Path) -> None:
    """Everybody has had a; of three of the other items, b comes first more often."""
    drawn, first, rest = random.Random(1), [], []
    for user in range(USERS):
        others = drawn.sample("cdef", 4)
        items = ["b", *others] if drawn.random() < 0.7 else [*others, "b"]
        first.append((f"u{user}", "a", 1))
        rest += [(f"u{user}", item, place) for place, item in enumerate(items[:STEPS], start=2)]
    directory.mkdir()
    for name, rows in (("first", first), ("rest", rest)):
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE log (user_id VARCHAR, item_id VARCHAR, timestamp BIGINT)")
            connection.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)
            connection.execute(f"COPY log TO '{directory}/{name}.parquet'")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """With the bundles of both variants, an event log, and a store that nobody has filled."""
    orders = {"sasrec": TINY_ITEMS, "elcrec": ["a", "e", "c", "d", "b", "f"]}
    bundles = {name: write_tiny_bundle(tmp_path / "bundles", name, items).name for name, items in orders.items()}
    declare(tmp_path, bundles)
    write_log(tmp_path / "replayed")
    for name, value in {**TYPES, "INTENTLY_EVENTS_SECONDS": "0.2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INTENTLY_STORE", f"sqlite:///{tmp_path}/store.sqlite3")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    running = Service(tmp_path / "bundles", os.environ["INTENTLY_STORE"], more=["--events", str(tmp_path / "events")])
    eventually(running.ready)
    yield running
    running.stop()


def replayed(service: Service, directory: Path) -> str:
    where = ["--events", directory / "events", "--bundles", directory / "bundles"]
    command = [sys.executable, JOB / "run.py", directory, *where, "--url", service.url, "--admin", service.admin]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_job_reports_what_it_replayed_and_does_nothing_twice(service: Service, tmp_path: Path) -> None:
    """Every user has three steps; the second run finds them done, and its report counts the same."""
    first, again = replayed(service, tmp_path), replayed(service, tmp_path)
    assert f"{USERS} events of {USERS} users stored" in first
    assert f"\nsteps: {USERS * STEPS}\n" in first
    assert f"\nsteps done before: {USERS * STEPS}\n" in again
    assert "truth: pvctr of elcrec" in first
    reports = [said.partition("$ intently-serve experiments report replay")[2] for said in (first, again)]
    counts = [re.findall(r"^\| (?:sasrec|elcrec) .*$", report, re.MULTILINE) for report in reports]
    assert counts[0]
    assert counts[0] == counts[1]


def test_the_job_says_what_setting_it_needs() -> None:
    """Before anything is done: clicks in the sequences would be found out at the first click only."""
    environment = {name: value for name, value in os.environ.items() if name not in TYPES}
    done = subprocess.run(
        [sys.executable, JOB / "run.py"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "set INTENTLY_SEQUENCE_EVENT_TYPES" in done.stderr
