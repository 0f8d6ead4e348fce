"""The reproduction queue on a small dataset under a real name, and the page that is rendered from its results."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training.config import TrainingConfig
from training.interactions import PrepareOptions, prepare
from training.run_log import append_line, read_lines
from training.synthesis import SynthesisOptions, synthesize

ROOT = Path(__file__).parents[2]
ABLATION = "papers-iclrec+options.sequence_weight-0+options.augmentations-none"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The benchmarks in a folder of their own, so that nothing is written into the checkout; two epochs a run."""
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=shutil.ignore_patterns("results"))
    shutil.copytree(ROOT / "training", tmp_path / "training")
    for file in (tmp_path / "training/configs").rglob("*.yaml"):
        file.write_text(file.read_text().replace("max_epochs: 400", "max_epochs: 2"))
    (tmp_path / "benchmarks/results").mkdir()
    (tmp_path / "docs").mkdir()
    synthesize(tmp_path / "raw", SynthesisOptions(users=400, items=60, intents=4, mean_length=10))
    prepare(tmp_path / "raw/interactions.csv", tmp_path / "data/beauty", options=PrepareOptions())
    return tmp_path


def call(folder: Path, program: str, *words: str, status: int = 0) -> str:
    found = subprocess.run(
        [sys.executable, f"benchmarks/{program}.py", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},  # the copy of training comes first
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert found.returncode == status, found.stderr[-3000:]
    return found.stdout + found.stderr


def reproduce(folder: Path, *words: str, status: int = 0) -> str:
    return call(folder, "reproduce", "beauty", *words, status=status)


def results(folder: Path) -> Path:
    return folder / "benchmarks/results/reproduce-beauty.jsonl"


def page(folder: Path) -> str:
    call(folder, "render")
    return (folder / "docs/benchmarks.md").read_text()


def pretend(
    folder: Path,
    configuration: str,
    *settings: str,
    seed: int = 1,
    ndcg: float = 0.05,
    options: dict[str, int] | None = None,
    more: dict[str, object] | None = None,
) -> str:
    """Record a test line as a run would, of a configuration with other `options` where given; return its bundle id."""
    config = TrainingConfig.load(configuration, dataset="beauty", settings=settings).complete()
    config |= {} if options is None else {"options": options}
    names = [f"{part}{name}@{k}" for part in ("", "head/", "tail/") for name in ("HR", "NDCG") for k in (5, 10, 20)]
    metrics = dict.fromkeys(names, ndcg)
    line = {"kind": "accuracy", "dataset": "beauty", "split": "test", "method": config["method"], "metrics": metrics}
    line |= {"configuration": configuration, "settings": list(settings), "config": config, "seed": seed}
    bundle_id = f"{config['method']}-{len(read_lines(results(folder)))}"
    line |= {"seconds": 1800, "bundle_id": bundle_id, "command": "pretended"} | (more or {})
    append_line(results(folder), line)
    return bundle_id


def test_figures_are_drawn_of_what_was_run(copy: Path) -> None:
    """One paper run: its head and tail, head rates, convergence and the map of its bundle; no noise was run."""
    said = reproduce(copy, "--only", "papers-sasrec")
    assert "noise-beauty: no results yet" in said
    (bundle,) = (copy / "runs/beauty/bundles/papers-sasrec").iterdir()
    call(copy, "figures", "--bundle", str(bundle), "--data", "data/beauty")
    drawn = {path.stem: path.read_bytes() for path in (copy / "docs/figures").iterdir()}
    assert set(drawn) == {"head-tail-beauty", "head-rates-beauty", "convergence-beauty", "map-sasrec-beauty"}
    assert min(map(len, drawn.values())) > 5000
    call(copy, "figures")
    assert {path.stem: path.read_bytes() for path in (copy / "docs/figures").iterdir()} == drawn, "not drawn alike"
    assert "(figures/head-tail-beauty.svg)" in (copy / "docs/benchmarks.md").read_text()


def test_every_figure_has_its_results(copy: Path) -> None:
    """Runs around the paper's values: noise, K and a weight."""
    more = {"head_rates": [0.1, 0.3], "validation_curve": [[1, 0.01], [2, 0.02]]}
    for settings in (
        (),
        ("options.num_intents=64",),
        ("options.adversary_weight=0",),
        ("training.noise=0.1",),
    ):
        pretend(copy, "papers/s4rec", *settings, more=more)
    pretend(copy, "papers/dssrec", "options.seq2seq_weight=0", more=more)
    said = call(copy, "figures")
    assert said.count("wrote") == 5
    assert "intent-seconds: no results yet" in said


def test_sequence_vectors_are_found_from_their_intent_weights() -> None:
    """Softmax of cosines / .1 to 8 prototypes in 3 dimensions and back: the same directions."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from figures import sequence_vectors
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    generator = np.random.default_rng(1)
    vectors, prototypes = generator.normal(size=(5, 3)), generator.normal(size=(8, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = np.exp(vectors @ prototypes.T / 0.1)
    found = sequence_vectors(prototypes, weights / weights.sum(axis=1, keepdims=True))
    assert found * 0.1 == pytest.approx(vectors)


def test_a_run_is_made_once_and_shown_beside_the_published_numbers(copy: Path) -> None:
    """The ablation with two settings: it is listed, run, recorded for both splits, rendered, and not run again."""
    assert f"ablations: {ABLATION} seed 1\n1 runs to go" in reproduce(copy, "--list", "--only", ABLATION)
    assert "--set options.sequence_weight=0 --set 'options.augmentations=[]'" in reproduce(
        copy, "--dry-run", "--only", ABLATION
    )
    assert not results(copy).exists(), "a dry run runs nothing"
    reproduce(copy, "--only", ABLATION)
    lines = read_lines(results(copy))
    assert [line["split"] for line in lines] == ["validation", "test"]
    assert lines[1]["config"]["options"]["augmentations"] == []
    assert lines[1]["config"]["options"]["similarity"] == "dot", "what the file leaves to the method is recorded too"
    assert lines[1]["validation_curve"][0][0] == 1
    assert len(lines[1]["head_rates"]) == lines[1]["intent_report"]["used"]
    rendered = (copy / "docs/benchmarks.md").read_text()
    own = f"{lines[1]['metrics']['NDCG@20']:.4f}"
    assert "| **iclrec: only ICL w/o augmentation (E)**, ours, 1 seed |" in rendered
    assert own in rendered
    assert "not run: `python benchmarks/reproduce.py beauty --only 'papers-s4rec'`" in rendered
    assert "| ELCRec (ELCRec Table 1) | 0.0529 |  | 0.1079 | 0.0355 |  | 0.0509 |" in rendered
    assert "0 runs to go" in reproduce(copy, "--list", "--only", ABLATION)


def test_a_stopped_run_continues_from_its_checkpoint(copy: Path) -> None:
    """The result lines are lost, the finished checkpoint is not: not one epoch is trained again."""
    reproduce(copy, "--only", "papers-sasrec")
    epochs = read_lines(results(copy))[1]["epochs"]
    (log,) = (copy / "runs/beauty").glob("papers-sasrec-seed1-*/log.jsonl")
    before = log.read_text()
    results(copy).unlink()
    assert f"papers-sasrec seed 1 (stopped after epoch {epochs})" in reproduce(
        copy, "--list", "--only", "papers-sasrec"
    )
    reproduce(copy, "--only", "papers-sasrec")
    assert log.read_text() == before
    assert read_lines(results(copy))[1]["epochs"] == epochs


def test_a_lost_legacy_evaluation_is_made_again_without_training(copy: Path) -> None:
    """On Beauty-54k a run is its training and the ranking among 100 negatives; each is done once."""
    synthesize(copy / "wide", SynthesisOptions(users=300, items=300, intents=4, mean_length=10))
    prepare(copy / "wide/interactions.csv", copy / "data/beauty-54k", options=PrepareOptions(core=2))
    words = ("reproduce", "beauty-54k", "--only", "papers-dssrec")
    call(copy, *words)
    file = results(copy).with_name("reproduce-beauty-54k.jsonl")
    lines = read_lines(file)
    assert [("sampled100/MRR" in line["metrics"], line["split"]) for line in lines] == [
        (False, "validation"),
        (False, "test"),
        (True, "test"),
    ]
    assert len({line["bundle_id"] for line in lines}) == 1
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    assert call(copy, *words, "--dry-run").count("intently-train") == 1
    call(copy, *words)
    assert read_lines(file)[2]["metrics"] == lines[2]["metrics"]
    assert f"| **dssrec**, ours, 1 seed | {lines[2]['metrics']['sampled100/HR@1']:.4f} |" in page(copy)


def test_a_failure_does_not_stop_the_queue(copy: Path) -> None:
    """A folder where the first run wants a file: it fails, the second runs, and the end says which failed."""
    (copy / "runs/beauty/bundles").mkdir(parents=True)
    (copy / "runs/beauty/bundles/papers-cl4srec").write_text("in the way")
    said = reproduce(copy, "--only", "papers-[cs][la]*", "--limit", "2", status=1)  # cl4srec, sasrec
    assert said.endswith("failed:\npapers: papers-cl4srec seed 1\n")
    assert [line["method"] for line in read_lines(results(copy))] == ["sasrec", "sasrec"]


def test_a_line_of_another_configuration_is_shown_as_such_and_run_again(copy: Path) -> None:
    """A recorded option differs from the file's: not done. One that was not recorded, or more patience: done."""
    pretend(copy, "papers/cl4srec", options={"num_intents": 64})
    pretend(copy, "papers/sasrec", options={})
    assert "papers-cl4srec" in reproduce(copy, "--list", "--only", "papers-cl4srec")
    assert "0 runs to go" in reproduce(copy, "--list", "--only", "papers-sasrec")
    rendered = page(copy)
    assert "| **cl4srec**, ours, 1 seed, before its configuration changed | 0.0500 |" in rendered
    assert "| **sasrec**, ours, 1 seed | 0.0500 |" in rendered


def test_seeds_are_averaged_and_ablations_compared_with_the_whole(copy: Path) -> None:
    """.04, .05, .06: mean .05, standard deviation .01. What is left takes half an hour a run."""
    whole, *_ = [pretend(copy, "papers/iclrec", seed=seed, ndcg=0.03 + seed / 100) for seed in (1, 2, 3)]
    part = pretend(copy, "papers/iclrec", "options.intent_weight=0")
    assert "1 runs to go, about 0.5 h" in reproduce(copy, "--list", "--only", "papers-iclrec+options.intent_weight-0")
    command = reproduce(copy, "--dry-run", "--only", "papers-iclrec+options.intent_weight-0")
    assert f"compare runs/beauty/bundles/papers-iclrec+options.intent_weight-0/{part} " in command
    assert f"runs/beauty/bundles/papers-iclrec/{whole} " in command
    found = {"difference": -0.002, "low": -0.003, "high": -0.001, "p_value": 0.0}
    compared = {"kind": "accuracy", "dataset": "beauty", "split": "test", "compared": [part, whole], "NDCG@20": found}
    append_line(results(copy), compared)
    assert "0 runs to go" in reproduce(copy, "--list", "--only", "papers-iclrec+options.intent_weight-0")
    rendered = page(copy)
    assert "| **iclrec**, ours, 3 seeds | 0.0500 ± 0.0100 |" in rendered
    assert "| -0.0020 [-0.0030, -0.0010] to papers-iclrec |" in rendered


def test_a_temporal_split_has_a_table_of_its_own(copy: Path) -> None:
    """It is not a run of the leave-one-out tables, nor averaged with them."""
    pretend(copy, "papers/sasrec", more={"holdout": "temporal"})
    rendered = page(copy)
    assert "not run: `python benchmarks/reproduce.py beauty --only 'papers-sasrec'`" in rendered
    assert "| beauty | **sasrec**, seed 1, ours | 0.0500 |" in rendered
    assert "| Beauty | SASRec full CE (time-to-split repository) |  |  | 0.0612 |  |  | 0.0289 |" in rendered
    assert "papers-sasrec seed 1" in reproduce(copy, "--list", "--only", "papers-sasrec")


def test_the_page_depends_on_the_results_alone(copy: Path) -> None:
    """Rendered twice it is the same, and lines of other splits or of lines cut short change nothing in the tables."""
    pretend(copy, "papers/s4rec")
    first = page(copy)
    append_line(results(copy), json.loads(results(copy).read_text()) | {"split": "validation", "command": "pretended"})
    assert page(copy) == first
