"""Recording rules and alerts: sound, each with a unit test, each fed by what a real Prometheus scraped."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import CONFIG, Scraped
from tests.http_calls import call

HERE = Path(__file__).parent
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt install prometheus)"
)


def rules(kind: str) -> list[dict[str, Any]]:
    """`kind`: alert or record, of all files that Prometheus reads."""
    files = [CONFIG.with_name(name) for name in yaml.safe_load(CONFIG.read_text())["rule_files"]]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def played(kind: str, *names: str) -> list[dict[str, Any]]:
    """promtool plays the series of the files to the rules, and finds what it expects; their checks."""
    files = [HERE / name for name in names]
    done = subprocess.run(["promtool", "test", "rules", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [check for file in files for case in yaml.safe_load(file.read_text())["tests"] for check in case[kind]]


@needs_promtool
def test_the_configuration_is_sound() -> None:
    """With the rules it names."""
    done = subprocess.run(["promtool", "check", "config", CONFIG], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recording.yml" in done.stdout
    assert "alerts.yml" in done.stdout


@needs_promtool
def test_every_alert_fires_when_it_should() -> None:
    """As a page and as a ticket, where it can be both."""
    checks = played("alert_rule_test", "alerts_test.yml", "bundle_old_test.yml")
    fired = {(check["alertname"], one["exp_labels"]["severity"]) for check in checks for one in check["exp_alerts"]}
    wanted = {(rule["alert"], rule["labels"]["severity"]) for rule in rules("alert")}
    assert len(wanted) >= 18
    assert fired == wanted


@needs_promtool
def test_every_recording_rule_comes_to_what_it_should() -> None:
    checks = played("promql_expr_test", "recording_test.yml")
    wanted = {rule["record"] for rule in rules("record")}
    assert len(wanted) >= 21
    checked = " ".join(check["expr"] for check in checks if check["exp_samples"])
    assert wanted - set(re.findall(r"[\w:]+", checked)) == set()


def test_a_recording_rule_looks_back_as_far_as_its_name_says() -> None:
    """job:intently_errors:ratio_rate6h asks for [6h]; over five minutes it is made of rates that are recorded."""
    looked = 0
    for rule in rules("record"):
        [window] = re.findall(r"rate(\d+\w)$", rule["record"])
        asked = re.findall(r"\[(\d+\w)\]", rule["expr"]) or re.findall(r"rate(\d+\w)", rule["expr"])
        assert set(asked) == {window}, rule["record"]
        looked += 1
    assert looked >= 21


def test_every_rule_finds_its_metrics(prometheus: Scraped) -> None:
    """An alert on a metric that is not there never fires; a recording rule that says nothing is none."""
    groups = call(f"{prometheus.url}/api/v1/rules")["data"]["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len(found) == len(rules("alert")) + len(rules("record"))
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}
    assert [rule["record"] for rule in rules("record") if not prometheus.ask(rule["record"])] == []
    asked = set(re.findall(r"[\w:]*intently_[\w:]+", " ".join(rule["expr"] for rule in rules("alert"))))
    assert len(asked) >= 20
    assert [one for one in asked if not prometheus.ask(f"count({one})")] == []
