"""docs/operations.md says what there is: every metric, alert and setting, no command that does not exist."""

import re
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from typer.main import get_command

from service.admin.app import create_admin_app
from service.app import create_app
from service.cli import app as command_line
from service.settings import Settings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/operations.md").read_text()
SUFFIXES = {"Counter": "_total", "Gauge": "", "Histogram": ""}


def metrics() -> set[str]:
    """As Prometheus names them."""
    code = "\n".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    found = re.findall(r'\b(Counter|Gauge|Histogram)(?:MetricFamily)?\(\s*"(\w+)"', code)
    return {name + SUFFIXES[kind] for kind, name in found}


def test_every_metric_has_a_row_and_every_row_a_metric() -> None:
    assert len(metrics()) >= 23
    rows = re.findall(r"^\| (`intently_\w+`(?:, `intently_\w+`)*) \|", PAGE, re.MULTILINE)
    assert set(re.findall(r"intently_\w+", " ".join(rows))) == metrics()
    assert set(re.findall(r"intently_\w+", PAGE)) <= metrics()


def test_every_alert_leads_to_its_runbook() -> None:
    """`runbook_url` is the page and the anchor of a heading, below which stands first how urgent it is."""
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"]]
    assert len(alerts) >= 18
    runbooks = dict(re.findall(r"^### (Intently\w+)\n\n([^.]+)\.", PAGE, re.MULTILINE))
    severities: dict[str, list[str]] = {}
    for rule in alerts:
        severities.setdefault(rule["alert"], []).append(rule["labels"]["severity"])
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
    assert {name: ", ".join(its) for name, its in severities.items()} == runbooks


def test_every_link_within_the_page_has_its_heading() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    linked = set(re.findall(r"\]\(#([\w-]+)\)", PAGE))
    assert len(linked) >= 5
    assert linked <= anchors


def test_every_setting_is_documented_and_no_other() -> None:
    """By its variable, on any page."""
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    settings = {f"INTENTLY_{name.upper()}" for name in Settings.model_fields}
    assert len(settings) >= 19
    assert set(re.findall(r"\bINTENTLY_\w+", pages)) == settings


def test_every_option_of_a_printed_command_exists() -> None:
    """`intently-serve COMMAND ... --option` in a block of commands."""
    commands = get_command(command_line).commands  # type: ignore[attr-defined]
    printed = re.findall(r"intently-serve (\w+)([^#\n]*)", "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)))
    assert {"run", "check", "key", "load", "migrate"} <= {name for name, _ in printed}
    for name, arguments in printed:
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", arguments)) <= known, name


@pytest.mark.parametrize("port", [8000, 8001])
def test_every_printed_call_exists(port: int, tiny_bundle: Path, tmp_path: Path) -> None:
    """`curl -X METHOD localhost:PORT/path` is in that port's OpenAPI document."""
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    admin = create_admin_app(settings, str(tmp_path)).app
    with TestClient(create_app(settings) if port == 8000 else admin) as client:
        paths = client.get("/openapi.json").json()["paths"]
    calls = re.findall(rf"curl -s(?: -X (\w+))? localhost:{port}(/[\w/]+)", PAGE)
    assert calls
    for method, path in calls:
        fitting = [its for its in paths if re.fullmatch(re.sub(r"\{\w+\}", r"[\\w-]+", its), path)]
        assert any((method or "GET").lower() in paths[its] for its in fitting), (method, path)
