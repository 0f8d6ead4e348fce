"""The reproduction queue on a small dataset under a real name, and the page that is rendered from its results."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training.interactions import PrepareOptions, prepare
from training.run_log import read_lines
from training.synthesis import SynthesisOptions, synthesize

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The benchmarks in a folder of their own, so that nothing is written into the checkout."""
    shutil.copytree(BENCHMARKS, tmp_path / "benchmarks", ignore=shutil.ignore_patterns("results"))
    (tmp_path / "benchmarks/results").mkdir()
    (tmp_path / "docs").mkdir()
    synthesize(tmp_path / "raw", SynthesisOptions(users=400, items=60, intents=4, mean_length=10))
    prepare(tmp_path / "raw/interactions.csv", tmp_path / "data/beauty", options=PrepareOptions())
    return tmp_path


def reproduce(folder: Path, *words: str) -> str:
    command = [sys.executable, "benchmarks/reproduce.py", "beauty", *words]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


def test_figures_are_drawn_of_what_was_run(copy: Path) -> None:
    """One paper run: its head and tail, head rates, convergence and the map of its bundle; no noise was run."""
    said = reproduce(copy, "--only", "papers-sasrec")
    assert "noise-beauty: no results yet" in said
    (bundle,) = (copy / "runs/beauty/bundles/papers-sasrec").iterdir()
    drawing = [sys.executable, "benchmarks/figures.py", "--bundle", str(bundle), "--data", "data/beauty"]
    subprocess.run(drawing, cwd=copy, check=True, capture_output=True)
    drawn = {path.stem for path in (copy / "docs/figures").iterdir() if path.stat().st_size > 5000}
    assert drawn == {"head-tail-beauty", "head-rates-beauty", "convergence-beauty", "map-beauty"}
    assert "(figures/head-tail-beauty.svg)" in (copy / "docs/benchmarks.md").read_text()


def test_a_run_is_made_once_and_shown_beside_the_published_numbers(copy: Path) -> None:
    """The ablation with two settings: it is listed, run, recorded for both splits, rendered, and not run again."""
    name = "papers-iclrec+options.sequence_weight-0+options.augmentations-none"
    assert f"ablations: {name} seed 1\n1 runs to go" in reproduce(copy, "--list", "--only", name)
    reproduce(copy, "--only", name)
    lines = read_lines(copy / "benchmarks/results/reproduce-beauty.jsonl")
    assert [line["split"] for line in lines] == ["validation", "test"]
    assert lines[1]["config"]["options"]["augmentations"] == []
    assert lines[1]["validation_curve"][0][0] == 1
    assert len(lines[1]["head_rates"]) == lines[1]["intent_report"]["used"]
    page = (copy / "docs/benchmarks.md").read_text()
    own = f"{lines[1]['metrics']['NDCG@20']:.4f}"
    assert "| **iclrec only ICL w/o augmentation (E)**, ours |" in page
    assert own in page
    assert "not run: `python benchmarks/reproduce.py beauty --only 'papers-s4rec'`" in page
    assert "| ELCRec (ELCRec Table 1) | 0.0529 |  | 0.1079 | 0.0355 |  | 0.0509 |" in page
    assert "0 runs to go" in reproduce(copy, "--list", "--only", name)


def test_the_page_is_what_its_results_say(tmp_path: Path) -> None:
    """Rendering the checked-in results gives the checked-in page."""
    shutil.copytree(BENCHMARKS, tmp_path / "benchmarks")
    shutil.copytree(BENCHMARKS.parent / "docs", tmp_path / "docs")
    subprocess.run([sys.executable, "benchmarks/render.py"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "docs/benchmarks.md").read_text() == (BENCHMARKS.parent / "docs/benchmarks.md").read_text()
