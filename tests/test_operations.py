"""docs/operations.md says what there is: every metric and alert. tests/docs has the rest, for all pages."""

import re
from pathlib import Path

import yaml

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
