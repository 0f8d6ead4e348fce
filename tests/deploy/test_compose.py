"""The compose file by its structure, and, where it is up, by what it does."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.event_log.entries import LoggedEvent
from service.event_log.files import EventFiles

ROOT = Path(__file__).parents[2]
URL = os.environ.get("INTENTLY_COMPOSE_URL", "")
PROMETHEUS = os.environ.get("INTENTLY_PROMETHEUS_URL", "http://127.0.0.1:9090")
is_up = pytest.mark.skipif(not URL, reason="INTENTLY_COMPOSE_URL names no running compose stack")


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def call(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_every_service_is_hardened_and_pinned() -> None:
    assert set(services()) == {"redis-volume", "redis", "service", "training", "prometheus", "grafana"}
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["cpus"], name
        tag = service["image"].partition(":")[2]
        assert tag[-1].isalnum(), name
        assert any(character.isdigit() for character in tag), f"{name}: the tag must be a version"
        assert name in ("training", "redis-volume") or service["healthcheck"], name
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:"), f"{name}: published to this machine only"


def test_the_event_log_is_a_volume_that_training_reads() -> None:
    """It lies where the image has a directory of the same owner, which a new volume takes over."""
    service, training = services()["service"], services()["training"]
    assert service["command"][-2:] == ["--events", "/events"]
    assert "events:/events" in service["volumes"]
    assert "events:/events:ro" in training["volumes"]
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    assert set(volumes) == {"redis", "bundles", "events"}
    made = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if "install -d" in line)
    assert {f"/{name}" for name in volumes} <= set(made.split())


def test_the_training_job_prepares_what_users_did(tmp_path: Path) -> None:
    """Its script up to the training itself, in folders of the test's own: 60 users with 12 events each."""
    (tmp_path / "data").mkdir()
    events = [
        LoggedEvent(f"{user} {at}", f"u{user}", f"item-{(user * 7 + at * 3) % 20}", "click", at, None, None, at)
        for user in range(60)
        for at in range(12)
    ]
    EventFiles(tmp_path / "events").add(events, "one")
    script, training, _ = (ROOT / "deploy/train.sh").read_text().partition("exec intently-train run")
    assert training
    script = script.replace(" /data", f" {tmp_path}/data")
    environment = os.environ | {"INTENTLY_LOG": str(tmp_path / "events")}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "60 users, 20 items, 720 interactions" in done.stdout, done.stderr
    assert (tmp_path / "data/prepared").is_dir()


@pytest.mark.skipif(shutil.which("check-jsonschema") is None, reason="check-jsonschema is not installed (pip)")
def test_the_compose_file_follows_its_schema() -> None:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@is_up
def test_an_event_posted_in_one_request_changes_the_next_answer() -> None:
    user = f"compose-{time.time_ns()}"
    assert call(f"{URL}/health/ready")["store"] == "ok"
    before = call(f"{URL}/v1/users/{user}/recommendations?k=5")
    assert before["source"] == "popular"
    event = {"user_id": user, "item_id": before["items"][0]["item_id"], "timestamp": time.time()}
    assert call(f"{URL}/v1/events", {"events": [event]})["results"][0]["status"] == "accepted"
    after = call(f"{URL}/v1/users/{user}/recommendations?k=5&intents=3")
    assert after["source"] == "model"
    assert after["items"] != before["items"]
    assert len(after["intents"]) == 3


@is_up
def test_prometheus_shows_the_requests() -> None:
    call(f"{URL}/v1/recommendations", {"user_id": "nobody"})
    asked = urllib.parse.urlencode({"query": 'sum(intently_requests_total{route="/v1/recommendations"})'})
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        result = call(f"{PROMETHEUS}/api/v1/query?{asked}")["data"]["result"]
        if result and float(result[0]["value"][1]) >= 1:
            return
        time.sleep(1)
    raise AssertionError("Prometheus has not seen the request after 20 s")
