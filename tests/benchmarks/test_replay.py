"""A replayed experiment from a log to the page: the program and its table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ("training.max_epochs=1", "encoder.hidden=16", "options.num_intents=8", "intent_gate.action='off'")


def test_a_small_one_is_recorded_reported_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two methods of one epoch: every held-out step is an exposure; a second run trains nothing."""
    places = ["--work", tmp_path / "work", "--docs", tmp_path / "docs", "--results", tmp_path / "lines.jsonl"]
    command = ["benchmarks/replay.py", "--users", "150", "--pairs", "sasrec:elcrec", *places]
    for setting in SMALL:
        command += ["--set", setting]
    found = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    [line] = [json.loads(one) for one in (tmp_path / "lines.jsonl").read_text().splitlines()]
    replayed = line["replay"]["replayed"]
    assert sum(replayed["exposures"].values()) == replayed["steps"] > 100
    assert [arm["page_views"] for arm in line["report"]["variants"]] == [
        replayed["exposures"][name] for name in ("sasrec", "elcrec")
    ]
    assert line["report"]["ended"], "every outcome of the simulated days is known"
    name = "synthesized-sasrec-elcrec"
    assert {path.name for path in (tmp_path / "docs").iterdir()} >= {f"{name}.md"}
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from replay_table import replays

    page = replays([line])
    assert page is not None
    for part in (
        "### synthesized: sasrec against elcrec",
        "| day 1 |",
        "| day 5 |",
        "| all days |",
        "| the effect there is |",
    ):
        assert part in page
