"""Reports over HTTP and from the command line."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from service.app import create_app
from service.cli import app as cli
from service.control import Control, control_state
from service.experiments.declarations import Experiment
from service.experiments.report import building, keeper
from service.experiments.report.contents import Report
from service.experiments.report.keeper import Reports
from service.schemas import Event, RecommendationRequest
from service.settings import Settings
from service.stores.opening import open_store
from tests.http_calls import call
from tests.service.experiments.declared import declaration, running
from tests.service.experiments.logged import exposure, outcome, started, write
from tests.service.test_processes import Service, eventually

PATH = "/v1/experiments/blend/report"


def settings(bundle: Path, tmp_path: Path, **more: Any) -> Settings:
    return Settings(bundle=bundle, store=f"sqlite:///{tmp_path}/store.sqlite3", **more)


def decide(url: str, control: Control) -> None:
    """Write the control state into a store."""

    async def write_it() -> None:
        store = open_store(url)
        await control_state(store).change(lambda before: control.model_copy(update={"version": before.version + 1}))
        await store.close()

    asyncio.run(write_it())


@pytest.fixture
def client(tiny_bundle: Path, tmp_path: Path) -> Iterator[TestClient]:
    """An experiment that runs, one that is a draft, and the log of one list that was shown and clicked."""
    shown = exposure("ann", "control", 5)
    events = write(tmp_path / "events", [shown, exposure("bob", "treatment", 6)], [outcome(shown)])
    its = settings(tiny_bundle, tmp_path, events=events)
    draft = Experiment(**dict(declaration("draft")))
    decide(its.store, Control(experiments=(*running(declaration()), draft)))
    with TestClient(create_app(its)) as client:
        yield client


def test_a_report_as_json_and_markdown(client: TestClient) -> None:
    """Both are of the same experiment; salts and testers are nobody's business."""
    answer = client.get(PATH)
    assert answer.status_code == 200
    found = Report.model_validate_json(answer.content)
    assert [(one.users, one.clicks) for one in found.variants] == [(1, 1), (1, 0)]
    assert "salt" not in answer.text
    text = client.get(PATH, params={"format": "markdown"})
    assert text.headers["content-type"].startswith("text/markdown")
    assert text.text.startswith("# Experiment blend, phase 1\n")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/experiments/nothing/report", 404, "unknown_experiment"),
        ("/v1/experiments/draft/report", 409, "conflict"),
        (f"{PATH}?format=pdf", 422, "invalid_request"),
    ],
)
def test_what_cannot_be_reported(client: TestClient, path: str, status: int, code: str) -> None:
    """In the one shape of errors."""
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_without_an_event_log_there_is_no_report(tiny_bundle: Path, tmp_path: Path) -> None:
    """It says what to do."""
    its = settings(tiny_bundle, tmp_path)
    decide(its.store, Control(experiments=running(declaration())))
    with TestClient(create_app(its)) as client:
        answer = client.get(PATH)
    assert (answer.status_code, "--events" in answer.json()["error"]["message"]) == (409, True)


def test_files_that_cannot_be_read_are_a_503(client: TestClient, tmp_path: Path) -> None:
    """The paths are for the log."""
    [file] = (tmp_path / "events").glob("exposures/*/*/1.parquet")
    file.write_bytes(b"no parquet")
    answer = client.get(PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "log_unreadable")
    assert str(tmp_path) not in answer.text


async def test_one_report_is_built_at_a_time_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten who ask at once get one report; of two experiments the second waits; a changed experiment is built anew."""
    built, busy, build = [], threading.Lock(), building.build_report

    def watched(experiment: Experiment, *rest: Any, **more: Any) -> Report:
        assert busy.acquire(blocking=False)
        built.append(experiment.name)
        try:
            return build(experiment, *rest, **more)
        finally:
            busy.release()

    monkeypatch.setattr(building, "build_report", watched)
    one, two = running(declaration(), declaration("other", layer="second", description="."))
    reports = Reports(tmp_path)
    found = await asyncio.gather(*[reports.of(one) for _ in range(10)], reports.of(two))
    assert built == ["blend", "other"]
    assert len({id(report) for report in found}) == 2
    await reports.of(one.model_copy(update={"state": "stopped"}))
    assert built == ["blend", "other", "blend"]
    monkeypatch.setattr(keeper, "KEPT_SECONDS", 0.0)
    await reports.of(two)
    await reports.of(one)
    await reports.of(one)
    assert built[3:] == ["blend", "blend"], "those of before are still kept, later ones no longer"


def test_what_is_shown_and_clicked_is_reported(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a service: 41 lists, 14 clicks on them; the report built there and here is the same."""
    monkeypatch.setenv("INTENTLY_EVENTS_SECONDS", "0.2")
    file, events, plots = tmp_path / "blend.yaml", tmp_path / "events", tmp_path / "plots"
    file.write_text(yaml.safe_dump(declaration().model_dump(mode="json", exclude_unset=True)))
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3", more=["--events", str(events)])
    eventually(service.ready)

    def said(*words: str) -> str:
        found = CliRunner().invoke(cli, ["experiments", *words])
        assert found.exit_code == 0, found.output
        return found.stdout

    def reported(*more: str) -> Report:
        found = Report.model_validate_json(said("report", "blend", "--url", service.url, "--json", *more))
        return found.model_copy(update={"until": 0.0})

    said("create", str(file), "--admin", service.admin)
    said("start", "blend", "--share", "1", "--admin", service.admin)
    with service.client() as client:
        eventually(lambda: client.recommend(RecommendationRequest(user_id="first", history=["a"])).variant is not None)
        for user in [f"user-{number}" for number in range(40)]:
            shown = client.recommend(RecommendationRequest(user_id=user, history=["a"]))
            if user.endswith("7") or user.startswith("user-3"):
                click = {"item_id": shown.items[0].item_id, "timestamp": time.time()}
                client.send([Event(user_id=user, recommendation_id=shown.recommendation_id, **click)])
    eventually(lambda: sum(one.clicks for one in reported().variants) == 14, seconds=30)
    there, here = reported(), reported("--events", str(events), "--admin", service.admin)
    assert sum(one.users for one in there.variants) == 41
    assert there == here
    eventually(lambda: 'intently_outcomes_total{experiment="blend",' in call(f"{service.admin}/metrics"))
    assert said("report", "blend", "--url", service.url, "--plots", str(plots)).startswith("# Experiment blend")
    assert sorted(it.name for it in plots.iterdir()) == ["blend-sample-ratio.svg", "blend-treatment-groups.svg"]
    code, errors = service.stop()
    assert code == 0, errors


def test_the_command_says_why_there_is_none(tmp_path: Path) -> None:
    """One sentence, exit code 1."""
    found = CliRunner().invoke(cli, ["experiments", "report", "blend", "--url", "http://127.0.0.1:9"])
    assert (found.exit_code, found.stderr.startswith("error: GET /v1/experiments/blend/report")) == (1, True)


def test_a_plan_from_an_earlier_experiment(tiny_bundle: Path, tmp_path: Path) -> None:
    """Its 100 users, 20 of whom clicked the one list they saw: twice as many find 2.80 x sqrt(4 x .16 / 200) / .2."""
    shown = [exposure(f"user-{one}", "control" if one % 2 else "treatment", one) for one in range(100)]
    events = write(tmp_path / "events", shown, [outcome(one) for one in shown[:20]])
    its = settings(tiny_bundle, tmp_path, events=events)
    decide(its.store, Control(experiments=(started(days=1),)))
    file = tmp_path / "next.yaml"
    file.write_text(yaml.safe_dump(declaration("next").model_dump(mode="json", exclude_unset=True)))
    service = Service(tiny_bundle, its.store, more=["--events", str(events)])
    eventually(service.ready)
    words = [str(file), "--events", str(events), "--admin", service.admin, "--traffic", "2"]
    found = CliRunner().invoke(cli, ["experiments", "plan", *words, "--after", "blend"])
    assert found.exit_code == 0, found.output
    [_, _, row] = found.stdout.splitlines()
    [day, users, smallest] = row.strip("| ").split(" | ")
    assert (day, users) == ("1", "200")
    assert float(smallest.removesuffix(" %")) == pytest.approx(79.2, abs=0.5)
    missing = CliRunner().invoke(cli, ["experiments", "plan", *words, "--after", "nothing"])
    assert (missing.exit_code, missing.stderr.startswith("error: ")) == (1, True)
    service.stop()
