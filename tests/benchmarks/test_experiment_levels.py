"""The levels of the statistics of experiments: the program, its table, and what was recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.programs import ROOT, lines_of

RECORDED = ROOT / "benchmarks/results/experiment-levels.jsonl"


def test_every_rule_is_counted_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short run writes the lines that are recorded, and the table has a row of each."""
    words = ("--tests", 3, "--runs", 1)
    lines = lines_of("experiment_levels.py", *words, results=tmp_path / "levels.jsonl")
    assert [line["method"] for line in lines] == [line["method"] for line in recorded()]
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from experiment_table import experiment_levels

    table = experiment_levels(lines)
    assert all(f"| {line['method']} |" in table for line in lines)


def test_what_was_recorded_is_what_is_asked() -> None:
    """Every test keeps its level, every plan its power; the naive rules are far from 5 %."""
    lines = recorded()
    assert len(lines) > 20
    for line in lines:
        assert line["asked"]["low"] <= line["metrics"]["share"] <= line["asked"]["high"], line["method"]
        if line["method"].startswith("NAIVE"):
            assert line["metrics"]["share"] > 0.1


def recorded() -> list[dict[str, Any]]:
    """The newest line of each rule."""
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    return list({line["method"]: line for line in lines}.values())
