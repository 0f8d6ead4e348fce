"""The real service under load, with an experiment, a shadow and a mirror, and a real Prometheus that scrapes it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest
import yaml

from tests.conftest import write_tiny_bundle
from tests.http_calls import call, free_port
from tests.service.test_processes import eventually

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy/prometheus/prometheus.yml"
EXPERIMENT = {
    "name": "diversity",
    "layer": "ranking",
    "variants": [
        {"name": "control", "weight": 5000},
        {"name": "diverse", "weight": 5000, "options": {"diversity": 0.5}},
    ],
    "days": 7,
    "attribution_seconds": 1,
    "metrics": [{"name": "pvctr", "kind": "ratio", "numerator": "clicks", "denominator": "page_views"}],
}
TRAINED = {
    "metrics": {split: {"HR@20": 0.5, "NDCG@20": 0.25} for split in ("validation", "test")},
    "intent_report": {"used": 2.0, "effective": 1.8},
    "run": {
        "epochs": 2,
        "best_epoch": 2,
        "seconds": 1.5,
        "peak_memory_mb": 300.0,
        "losses": {"next_item": [(1, 1.0), (2, 0.5)]},
        "validation": {"NDCG@20": [(1, 0.2), (2, 0.25)]},
    },
}
OFTEN = os.environ | {"INTENTLY_EVENTS_SECONDS": "1"}
USERS = 60
SCRAPES = 5
LATEST = "rate(intently_outcomes_total[1m]) and on (experiment) intently_experiment_uplift"


class Scraped(NamedTuple):
    """A Prometheus and what it should have seen."""

    url: str
    refusals: int

    def ask(self, query: str) -> list[float]:
        """The value of each series; NaN is left out: it is no data."""
        result = call(f"{self.url}/api/v1/query?{urlencode({'query': query})}")["data"]["result"]
        return [float(series["value"][1]) for series in result if series["value"][1] != "NaN"]


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """It scrapes every second, and has seen traffic of every kind for some seconds."""
    if shutil.which("prometheus") is None:
        pytest.skip("the binary prometheus is not installed (apt install prometheus)")
    folder = tmp_path_factory.mktemp("prometheus")
    port, admin_port, own_port = free_port(), free_port(), free_port()
    service, admin, url = (f"http://127.0.0.1:{one}" for one in (port, admin_port, own_port))
    shadow = write_tiny_bundle(folder / "bundles", "shadow")
    os.utime(shadow / "manifest.json", (1, 1))
    write_tiny_bundle(folder / "shelf", "active", **TRAINED)
    with ExitStack() as running:
        for command in (_service(folder, port, admin_port), _prometheus(folder, admin_port, own_port)):
            process = running.enter_context(subprocess.Popen(command, cwd=ROOT, env=OFTEN, stderr=subprocess.DEVNULL))
            running.callback(process.terminate)
        eventually(lambda: call(f"{service}/health/ready")["status"] == "ready")
        eventually(lambda: "Ready" in call(f"{url}/-/ready"))
        call(f"{admin}/admin/experiments", EXPERIMENT)
        call(f"{admin}/admin/experiments/diversity/start", {"share": 1.0})
        call(f"{admin}/admin/bundles/{shadow.name}/shadow", {"share": 0.5}, seconds=60)  # it is checked first
        yield Scraped(url, refusals=_drive(service, Scraped(url, 0)))


def _service(folder: Path, port: int, admin_port: int) -> list[str]:
    """Two workers, an event log, and a bundle that comes from elsewhere."""
    command = [sys.executable, "-m", "service.cli", "run", "--bundle", f"{folder}/bundles", "--port", str(port)]
    command += ["--admin-port", str(admin_port), "--store", f"sqlite:///{folder}/store.sqlite3", "--workers", "2"]
    return [*command, "--events", f"{folder}/events", "--mirror", f"file://{folder}/shelf"]


def _prometheus(folder: Path, admin_port: int, own_port: int) -> list[str]:
    """As it is deployed, but for the service's address and shorter intervals."""
    config = yaml.safe_load(CONFIG.read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(CONFIG.parent / name) for name in config["rule_files"]]
    [job] = [one for one in config["scrape_configs"] if one["job_name"] == "intently"]
    config["scrape_configs"] = [job | {"static_configs": [{"targets": [f"127.0.0.1:{admin_port}"]}]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    return [*command, f"--web.listen-address=127.0.0.1:{own_port}", "--log.level=error"]


def _drive(service: str, scraped: Scraped) -> int:
    """Traffic until it was scraped some times, and how the experiment stands too; the rounds made."""
    rounds, deadline = 0, time.monotonic() + 90
    with ThreadPoolExecutor(8) as crowd:
        while not (scraped.ask(f"count_over_time(intently_exposures_total[1m]) > {SCRAPES}") and scraped.ask(LATEST)):
            assert time.monotonic() < deadline, "not all was scraped within 90 s"
            list(crowd.map(partial(_visit, service, days_ago=3 - rounds % 3), range(USERS)))
            call(f"{service}/v1/recommendations", {"user_id": "nobody", "k": 500})  # a fallback, and a short list
            with pytest.raises(HTTPError) as refused:
                call(f"{service}/v1/items/zzz/similar")
            refused.value.close()
            rounds += 1
            time.sleep(0.5)
    return rounds


def _visit(service: str, number: int, *, days_ago: int) -> None:
    """A list, of a history with an item that nobody knows; one user in three clicks what it shows first.

    It happens as in a replayed log: of experiments most is said from their second day on.
    """
    user_id, shown_at = f"user-{number}", time.time() - days_ago * 86_400
    asked = {"user_id": user_id, "history": ["a", "nonsense"], "k": 3, "exclude_seen": False, "timestamp": shown_at}
    shown = call(f"{service}/v1/recommendations", asked)
    if number % 3 == 0:
        event = {"user_id": user_id, "item_id": shown["items"][0]["item_id"], "timestamp": shown_at + 0.5}
        call(f"{service}/v1/events", {"events": [event | {"recommendation_id": shown["recommendation_id"]}]})
