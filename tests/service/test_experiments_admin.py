"""Experiments over the admin port, as everybody sees them, and over the command line."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from service.admin.app import create_admin_app
from service.app import create_app
from service.cli import app as command_line
from service.experiments.assignment import Assignments
from service.experiments.declarations import Experiment
from service.schemas import RecommendationRequest
from service.security.keys import add_key
from service.settings import Settings
from tests.http_calls import call
from tests.service.experiments.declared import METRICS, USERS
from tests.service.test_processes import Service, eventually
from tests.service.test_registry import rewritten

ARMS = [{"name": "control", "weight": 5000}, {"name": "diverse", "weight": 5000, "options": {"diversity": 0.5}}]
DECLARED: dict[str, Any] = {
    "name": "diversity", "layer": "ranking", "variants": ARMS, "days": 7, "metrics": METRICS,
    "testers": {"diverse": ["tester-7"]},
}  # fmt: skip


@pytest.fixture
def settings(tiny_bundle: Path, tmp_path: Path) -> Settings:
    rewritten(tiny_bundle, tmp_path / "bundles", "sound")
    rewritten(tiny_bundle, tmp_path / "bundles", "broken", **{"encoder.onnx": b"not a graph"})
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    return Settings(bundle=tmp_path / "bundles", store=store, events=tmp_path / "events", poll_seconds=0.05)


@pytest.fixture
async def admin(settings: Settings, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_admin_app(settings, str(tmp_path))
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://admin/admin") as client,
    ):
        yield client


async def done(admin: httpx.AsyncClient, path: str, status: int = 200, **body: Any) -> Any:
    answer = await admin.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_from_a_draft_to_the_end(admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Every change leaves a line that says what was decided, beside that of the audit."""
    caplog.set_level("INFO", "intently")
    assert (await done(admin, "/experiments", **DECLARED))["state"] == "draft"
    assert (await done(admin, "/experiments", 409, **DECLARED))["error"]["code"] == "conflict"
    begun = await done(admin, "/experiments/diversity/start", share=0.1)
    assert (begun["state"], begun["buckets"], begun["phases"][0]["number"]) == ("running", [[0, 1000]], 1)
    assert (await done(admin, "/experiments/diversity/ramp", share=0.5))["buckets"] == [[0, 5000]]
    smaller = await done(admin, "/experiments/diversity/ramp", 409, share=0.4)
    assert "begin a new phase" in smaller["error"]["message"]
    held = await done(admin, "/holdout", 409, share=0.1)
    assert "stop diversity" in held["error"]["message"]
    weights = {"control": 9000, "diverse": 1000}
    anew = await done(admin, "/experiments/diversity/phase", share=0.4, weights=weights)
    assert (anew["phases"][1]["weights"], anew["buckets"]) == ([9000, 1000], [[0, 4000]])
    assert anew["phases"][1]["salt"] != anew["phases"][0]["salt"]
    assert (await admin.delete("/experiments/diversity")).status_code == 409
    assert (await done(admin, "/experiments/diversity/stop"))["state"] == "stopped"
    assert (await done(admin, "/holdout", share=0.1)) == {"share": 0.1}
    kept = (await admin.get("/experiments")).json()
    assert (kept["holdout"], [one["name"] for one in kept["experiments"]]) == (0.1, ["diversity"])
    assert (await admin.get("/experiments/diversity")).json() == kept["experiments"][0]
    assert (await admin.delete("/experiments/diversity")).json() == {"name": "diversity"}
    gone = await admin.get("/experiments/diversity")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "unknown_experiment")
    said = [record.getMessage() for record in caplog.records if record.name == "intently"]
    assert "control 2: experiment diversity started with 0.1, share 0.1, phase 1, weights (5000, 5000)" in said
    audited = [(record.path, record.status) for record in caplog.records if record.name == "intently.audit"]
    assert ("/admin/experiments/diversity/ramp", 409) in audited


async def test_a_bundle_is_checked_before_anybody_gets_it(admin: httpx.AsyncClient, settings: Settings) -> None:
    broken = next(settings.bundle.glob("broken-*")).name
    for name, bundle_id, status, code in (
        ("unknown", "none-0123456789abcdef", 404, "unknown_bundle"),
        ("broken", broken, 409, "bundle_refused"),
    ):
        arms = [ARMS[0], {"name": "other", "weight": 5000, "bundle_id": bundle_id}]
        await done(admin, "/experiments", **(DECLARED | {"name": name, "variants": arms, "testers": {}}))
        assert (await done(admin, f"/experiments/{name}/start", status, share=1))["error"]["code"] == code


async def test_without_an_event_log_nothing_starts(settings: Settings, tmp_path: Path) -> None:
    app = create_admin_app(settings.model_copy(update={"events": None}), str(tmp_path))
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://admin/admin") as client,
    ):
        await done(client, "/experiments", **DECLARED)
        refused = await done(client, "/experiments/diversity/start", 409, share=1)
    assert refused["error"]["message"].endswith("none is kept: intently-serve run --events DIRECTORY")


async def test_everybody_sees_experiments_without_salts_and_testers(
    admin: httpx.AsyncClient, settings: Settings
) -> None:
    await done(admin, "/experiments", **DECLARED)
    salt = (await done(admin, "/experiments/diversity/start", share=0.25))["phases"][0]["salt"]
    with TestClient(create_app(settings)) as client:
        listed = client.get("/v1/experiments")
        [shown] = listed.json()["experiments"]
        assert client.get("/v1/experiments/diversity").json() == shown
        assert client.get("/v1/experiments/other").json()["error"]["code"] == "unknown_experiment"
        answer = client.post("/v1/recommendations", json={"user_id": "tester-7", "history": ["a"]}).json()
    assert (shown["state"], shown["share"], shown["phases"][0]["weights"]) == ("running", 0.25, [5000, 5000])
    assert salt not in listed.text
    assert "tester" not in listed.text
    assert (answer["experiment"], answer["variant"]) == ("diversity", "diverse")


def test_over_the_command_line_it_reaches_every_worker(tiny_bundle: Path, tmp_path: Path) -> None:
    """Two workers, keys: every user gets the variant that the document says, and nobody once it is stopped."""
    keys, file = tmp_path / "keys.json", tmp_path / "diversity.yaml"
    (tmp_path / "key").write_text(add_key(keys, "operator", ["admin"], None) + "\n")
    reader = add_key(keys, "shop", ["read"], None)
    file.write_text(yaml.safe_dump(DECLARED))
    more = ["--events", str(tmp_path / "events"), "--keys", str(keys)]
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3", workers=2, more=more)
    eventually(service.ready)

    def said(*words: str, code: int = 0) -> str:
        at = ["--admin", service.admin, "--key", str(tmp_path / "key")]
        found = CliRunner().invoke(command_line, ["experiments", *words, *at])
        assert found.exit_code == code, found.output
        return found.output

    assert said("create", str(file)) == (
        "diversity: draft, layer ranking, share 0, no phase, control 50 %, diverse 50 %\n"
    )
    assert "share 0.25, phase 1, control 50 %" in said("start", "diversity", "--share", "0.25")
    assert "error: 409 conflict: 'diversity' has 0.25 of its layer" in said(
        "ramp", "diversity", "--share", ".1", code=1
    )
    assert "share 0.5, phase 1" in said("ramp", "diversity", "--share", "0.5")
    weights = ["--weight", "control=2000", "--weight", "diverse=8000"]
    assert "share 0.5, phase 2, control 20 %, diverse 80 %" in said("phase", "diversity", *weights)
    assert "error: --weight: wanted VARIANT=BASIS_POINTS, found 'x'" in said(
        "phase", "diversity", "--weight", "x", code=1
    )
    wanted = Assignments((Experiment.model_validate_json(said("show", "diversity")),))
    groups: dict[str | None, list[str]] = {}
    for user in USERS:
        groups.setdefault(next((one.variant for one in wanted.assign(user)), None), []).append(user)
    expected = {user: variant for variant, members in groups.items() for user in members[:13]}
    assert Counter(expected.values()) == {None: 13, "control": 13, "diverse": 13}

    def variants() -> dict[str, str | None]:
        found = {}
        for user in expected:
            with service.client(key=reader) as client:  # a connection each: another worker
                found[user] = client.recommend(RecommendationRequest(user_id=user, history=["a"])).variant
        return found

    eventually(lambda: variants() == expected)
    assert variants() == expected
    with service.client(key=reader) as client:
        assert [one.name for one in client.experiments()] == ["diversity"]
        assert client.experiment("diversity").phases[1].weights == (2000, 8000)
    assert 'intently_exposures_total{experiment="diversity",variant="diverse"}' in call(f"{service.admin}/metrics")
    assert said("stop", "diversity").startswith("diversity: stopped")
    eventually(lambda: set(variants().values()) == {None})
    assert "diversity" not in call(f"{service.admin}/metrics"), "its series are gone"
    assert said("hold-out", "--share", "0.05") == "hold-out 0.05\n"
    assert said("list").splitlines()[-1] == "hold-out 0.05"
    assert said("delete", "diversity") == "diversity deleted\n"
    assert "404 unknown_experiment" in said("show", "diversity", code=1)
    code, errors = service.stop()
    assert code == 0, errors
    assert re.search(r"experiment diversity ramped to 0.5, share 0.5, phase 1", errors)
    assert re.search(r"admin call", errors)


def test_a_file_that_declares_nothing_is_a_sentence(tmp_path: Path) -> None:
    for content in ("name: [", "name: diversity", yaml.safe_dump(DECLARED | {"days": 0})):
        (tmp_path / "wrong.yaml").write_text(content)
        found = CliRunner().invoke(command_line, ["experiments", "create", str(tmp_path / "wrong.yaml")])
        assert found.exit_code == 1
        assert found.output.startswith("error: ")
        assert "Traceback" not in found.output
