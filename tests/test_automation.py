"""What runs by itself is what anybody can run: the workflow's commands are make targets, and its files are sound."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.dependabot": [GITHUB / "dependabot.yml"],
    "vendor.github-issue-forms": [GITHUB / "ISSUE_TEMPLATE/bug.yml", GITHUB / "ISSUE_TEMPLATE/proposal.yml"],
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE/config.yml"],
}


def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((GITHUB / "workflows/ci.yml").read_text())
    return found


def steps() -> Iterator[dict[str, Any]]:
    for job in workflow()["jobs"].values():
        yield from job["steps"]


def test_every_command_is_a_make_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in steps() if "run" in step]
    called = [re.fullmatch(r"(?:sudo )?make ([a-z-]+)(?: PYTHON=.+)?", command) for command in commands]
    assert all(called), commands
    assert {found[1] for found in called if found} == {"check", "programs", "test", "test-compose", "audit"}
    assert {found[1] for found in called if found} <= targets


def test_jobs_have_no_rights_and_end() -> None:
    """They read the code and nothing else; a job that hangs is stopped, one that is out of date too."""
    assert workflow()["permissions"] == {"contents": "read"}
    assert workflow()["concurrency"]["cancel-in-progress"] is True
    assert all(job["timeout-minutes"] <= 45 and "permissions" not in job for job in workflow()["jobs"].values())


def test_actions_are_pinned_by_commit() -> None:
    """A tag can be moved; the version it had stands beside it, for Dependabot and for readers."""
    lines = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert len(lines) >= 8
    assert [line for line in lines if not re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line)] == []


def test_the_workflow_tests_the_pythons_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {one.rpartition(" ")[2] for one in project["classifiers"] if "Python :: 3." in one}
    assert set(workflow()["jobs"]["test"]["strategy"]["matrix"]["python"]) == named
    assert project["requires-python"] == ">=3.11"


def test_torch_has_one_version() -> None:
    """It is named where it must be installed before the rest; Dependabot changes some of these places."""
    files = ("pyproject.toml", "constraints.txt", "Makefile", "Dockerfile")
    named = {file: set(re.findall(r"torch==([\d.]+)", (ROOT / file).read_text())) for file in files}
    [version] = named["constraints.txt"]
    assert named == {file: {version} for file in files}


def test_what_is_audited_is_what_the_images_install() -> None:
    installed = re.findall(r"\.\[([\w,$\{\}]+)\]", (ROOT / "Dockerfile").read_text())
    audited = re.findall(r"^(?:service|training)_extras := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(audited) == 2
    assert [extras.replace("${RUNTIME}", "cpu") for extras in installed] == audited


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_files_follow_their_schema(schema: str) -> None:
    assert SCHEMAS[schema]
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", schema, *SCHEMAS[schema]]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
