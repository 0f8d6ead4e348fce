"""A replayed experiment from a log to the page: the program and its table."""

from pathlib import Path

import pytest

from tests.benchmarks.programs import ROOT, lines_of

SMALL = ("training.max_epochs=1", "encoder.hidden=16", "options.num_intents=8", "intent_gate.action='off'")


def test_a_small_one_is_recorded_reported_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two methods of one epoch: every held-out step is an exposure."""
    places = ("--work", tmp_path / "work", "--docs", tmp_path / "docs")
    settings = [word for setting in SMALL for word in ("--set", setting)]
    words = ("--users", 150, "--pairs", "sasrec:elcrec", *places, *settings)
    [line] = lines_of("replay.py", *words, results=tmp_path / "lines.jsonl")
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
