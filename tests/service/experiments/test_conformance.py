"""The published conformance file: what this implementation does, and what another in JavaScript does."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.service.experiments.conformance_file import lines

FILE = Path(__file__).parents[3] / "docs/conformance/assignment.jsonl"
OTHER = Path(__file__).with_name("assignment.mjs")


def test_the_published_file_is_what_is_assigned() -> None:
    assert FILE.read_text(encoding="utf-8").splitlines() == list(lines())
    users = {json.loads(line).get("user_id", "") for line in lines()}
    assert sum(not user.isascii() for user in users) >= 5


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node (Debian: apt install nodejs)")
def test_another_language_comes_to_the_same(tmp_path: Path) -> None:
    """Every bucket and every assignment, recomputed; and a wrong one would be seen."""
    found = asked(FILE)
    assert found.returncode == 0, found.stderr
    counts = json.loads(found.stdout)
    assert counts["buckets"] >= 200
    assert counts["assignments"] >= 200
    assert counts["wrong"] == 0, found.stderr
    changed = tmp_path / "changed.jsonl"
    changed.write_text(FILE.read_text(encoding="utf-8").replace('"variant": "treatment"', '"variant": "control"', 1))
    assert json.loads(asked(changed).stdout)["wrong"] == 1


def asked(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", OTHER, file], capture_output=True, text=True, check=False, timeout=30)
