"""The images by what is in them, where an engine has built them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LIMIT = 550_000_000  # bytes, all layers

PROBE = """
import importlib.util, os, shutil
assert os.getuid() == 10001, os.getuid()
found = [name for name in ("torch", "onnx", "polars", "pip") if importlib.util.find_spec(name)]
found += [name for name in ("gcc", "cc", "make") if shutil.which(name)]
assert not found, found
"""


def service_image() -> str:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return str(compose["services"]["service"]["image"])


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """What the engine knows of the service's image. DOCKER_HOST, if set, says which engine."""
    if shutil.which("docker") is None:
        pytest.skip("the client docker is not installed")
    asked = subprocess.run(["docker", "image", "inspect", service_image()], capture_output=True, text=True)
    if asked.returncode:
        pytest.skip(f"no engine has {service_image()}: docker compose build service")
    found: dict[str, Any] = json.loads(asked.stdout)[0]
    return found


def test_the_service_image_is_small(facts: dict[str, Any]) -> None:
    assert facts["Size"] < LIMIT


def test_the_service_runs_as_a_number_and_sends_no_telemetry(facts: dict[str, Any]) -> None:
    """A cluster that refuses root can only judge a numeric user."""
    assert facts["Config"]["User"] == "10001:10001"
    assert "ORT_DISABLE_TELEMETRY=1" in facts["Config"]["Env"]
    assert facts["Config"]["Healthcheck"]


@pytest.mark.usefixtures("facts")
def test_the_service_image_has_neither_torch_nor_a_compiler() -> None:
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", service_image(), "-c", PROBE]
    subprocess.run(command, check=True, capture_output=True)
