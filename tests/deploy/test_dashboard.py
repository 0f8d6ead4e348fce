"""Every query of the dashboard, run by a real Prometheus that scraped the real service."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.http_calls import call, free_port

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/service.json"
WINDOW = "[10s]"  # stands for Grafana's $__rate_interval at a scrape every second

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="the binary prometheus is not installed (apt install prometheus)"
)


class Scraped(NamedTuple):
    """A Prometheus and what it should have seen."""

    url: str
    refusals: int


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def attempt(url: str, body: Any = None) -> Any:
    """The answer, None when it is refused."""
    try:
        return call(url, body)
    except urllib.error.HTTPError as refused:
        refused.close()
        return None


def wait_for(url: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer within {seconds} s")


@pytest.fixture(scope="module")
def prometheus(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A Prometheus that scrapes the service every second, after some traffic of every kind."""
    folder = tmp_path_factory.mktemp("prometheus")
    port, admin_port, own_port = free_port(), free_port(), free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: intently, static_configs: [{{targets: ['127.0.0.1:{admin_port}']}}]}}]\n"
    )
    service = [sys.executable, "-m", "service.cli", "run", "--bundle", str(tiny_bundle), "--port", str(port)]
    service += ["--admin-port", str(admin_port), "--store", f"sqlite:///{folder}/store.sqlite3"]
    service += ["--events", str(folder / "events")]
    scraper = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    scraper += [f"--web.listen-address=127.0.0.1:{own_port}", "--log.level=error"]
    often = os.environ | {"INTENTLY_EVENTS_SECONDS": "1"}
    with (
        subprocess.Popen(service, cwd=ROOT, env=often) as one,
        subprocess.Popen(scraper, stderr=subprocess.DEVNULL) as two,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/health/ready")
            wait_for(f"http://127.0.0.1:{own_port}/-/ready")
            scraper_url = f"http://127.0.0.1:{own_port}"
            yield Scraped(scraper_url, refusals=drive(f"http://127.0.0.1:{port}", scraper_url))
        finally:
            one.terminate()
            two.terminate()


def drive(service: str, scraper: str, scrapes: int = 5) -> int:
    """Traffic until it was scraped `scrapes` times; the rounds made. Prometheus may need 5 s to find its target."""
    asked = urllib.parse.urlencode({"query": 'count_over_time(intently_requests_total{status="404"}[1m])'})
    seen, rounds, deadline = 0, 0, time.monotonic() + 60
    while seen < scrapes:
        assert time.monotonic() < deadline, f"{seen} scrapes of the service within 60 s"
        traffic(service)
        rounds += 1
        time.sleep(1)
        result = attempt(f"{scraper}/api/v1/query?{asked}")["data"]["result"]
        seen = int(result[0]["value"][1]) if result else 0
    return rounds


def traffic(url: str) -> None:
    """A model answer with an unknown item, a fallback, a short list, an event, a refusal."""
    attempt(f"{url}/v1/recommendations", {"history": ["a", "nonsense"]})
    attempt(f"{url}/v1/recommendations", {"user_id": "nobody", "k": 500})
    attempt(f"{url}/v1/events", {"events": [{"user_id": "u", "item_id": "a", "timestamp": time.time()}]})
    attempt(f"{url}/v1/items/zzz/similar")


@needs_prometheus
def test_every_query_returns_data(prometheus: Scraped) -> None:
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert len(queries) >= 25
    empty = []
    for query in queries:
        asked = urllib.parse.urlencode({"query": query.replace("[$__rate_interval]", WINDOW)})
        answer = attempt(f"{prometheus.url}/api/v1/query?{asked}")
        found = [] if answer is None else [series["value"][1] for series in answer["data"]["result"]]
        if all(value == "NaN" for value in found):  # a quantile of a route nobody asked is NaN; of all routes, a fault
            empty.append(query)
    assert empty == []


@needs_prometheus
def test_the_requests_are_counted(prometheus: Scraped) -> None:
    """One refusal a round: Prometheus ends at exactly as many."""
    asked = urllib.parse.urlencode({"query": 'sum(intently_requests_total{status="404"})'})
    value, deadline = -1.0, time.monotonic() + 10
    while value != prometheus.refusals and time.monotonic() < deadline:
        value = float(attempt(f"{prometheus.url}/api/v1/query?{asked}")["data"]["result"][0]["value"][1])
        time.sleep(0.2)
    assert value == prometheus.refusals


@needs_prometheus
def test_every_metric_of_an_alert_is_scraped(prometheus: Scraped) -> None:
    """An alert on a metric that is not there never fires."""
    metrics = set(re.findall(r"intently_\w+", " ".join(rule["expr"] for rule in alerts())))
    assert len(metrics) >= 8
    for metric in metrics:
        asked = urllib.parse.urlencode({"query": f"count({metric})"})
        assert attempt(f"{prometheus.url}/api/v1/query?{asked}")["data"]["result"], metric


def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt install prometheus)"
)


@needs_promtool
def test_the_configuration_is_sound() -> None:
    subprocess.run(
        ["promtool", "check", "config", ROOT / "deploy/prometheus/prometheus.yml"], check=True, capture_output=True
    )


@needs_promtool
def test_every_alert_fires_when_it_should() -> None:
    """promtool plays the series of alerts_test.yml to the rules; every alert is among what it expects."""
    cases = Path(__file__).with_name("alerts_test.yml")
    played = subprocess.run(["promtool", "test", "rules", cases], capture_output=True, text=True)
    assert played.returncode == 0, played.stdout + played.stderr
    expected = {
        check["alertname"]
        for case in yaml.safe_load(cases.read_text())["tests"]
        for check in case["alert_rule_test"]
        if check["exp_alerts"]
    }
    assert expected == {rule["alert"] for rule in alerts()}


def test_the_dashboard_is_what_its_source_says() -> None:
    """`python deploy/grafana/build.py` has been run."""
    program = "import build, json; print(json.dumps(build.dashboard()))"
    built = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "deploy/grafana", capture_output=True, check=True
    )
    assert json.loads(built.stdout) == json.loads(DASHBOARD.read_text())
    assert all(panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels())
