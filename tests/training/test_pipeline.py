"""From a prepared dataset to a bundle, and the two evaluations that must agree."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from models.methods import Batch, IntentMethod, build
from service.bundle.files import newest_bundle, open_bundle
from tests.training.conftest import CONFIG
from training.batches import TrainingBatches
from training.bundle_evaluation import compare_bundles, evaluate_baseline, evaluate_bundle
from training.cli import app
from training.config import BUILT_IN, ConfigError, TrainingConfig
from training.curves import described_run, draw_curves
from training.distributed import Ranks
from training.interactions import PrepareOptions, prepare
from training.loop import Outcome, Trainer
from training.pipeline import build_trainer, choose_device, run_training
from training.prepared import Holdout, load_prepared
from training.ranker.config import RankerConfig
from training.run_log import append_line, read_lines

YAML = CONFIG.model_dump_json()  # JSON is YAML


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_served_path_scores_what_training_measured(bundle: Path, prepared: Path, split: str) -> None:
    scored = evaluate_bundle(bundle, prepared, split)
    assert scored.largest_difference is not None
    assert scored.largest_difference <= 1e-4


def test_it_learns_more_than_popularity(bundle: Path, prepared: Path) -> None:
    learned = evaluate_bundle(bundle, prepared, "test").metrics["HR@20"]
    assert learned > 1.2 * evaluate_baseline("popularity", prepared, "test").metrics["HR@20"]
    assert evaluate_baseline("cooccurrence", prepared, "test").metrics["HR@20"] > 0.2


def test_the_bundle_describes_its_intents(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert sum(intent.size for intent in opened.intents) == opened.manifest.training_users
    assert all(intent.top_items for intent in opened.intents if intent.size)
    assert opened.manifest.intent_report["used"] == 4
    assert opened.items[0].title


def test_the_bundle_says_how_its_training_went(bundle: Path) -> None:
    """Its curves are those of the run log: six epochs, each validated."""
    its = open_bundle(bundle).manifest.run
    assert its is not None
    entries = read_lines(bundle.parent.parent / "work/log.jsonl")
    assert its.epochs == len(entries) == 6
    assert set(its.losses) == set(entries[0]["losses"]) >= {"next_item"}
    assert its.losses["next_item"] == [(one["epoch"], round(one["losses"]["next_item"], 5)) for one in entries]
    ndcg = [(one["epoch"], round(one["validation"]["NDCG@20"], 5)) for one in entries]
    assert its.validation["NDCG@20"] == ndcg
    assert max(ndcg, key=lambda point: point[1])[0] == its.best_epoch
    assert its.seconds > 0


def test_long_curves_are_thinned_up_to_their_last_epoch(tmp_path: Path) -> None:
    """Of 61 epochs every third; of the 30 that validate each one; a loss that is no number is left out."""
    log = tmp_path / "log.jsonl"
    for epoch in range(1, 62):
        validation = {} if epoch % 2 else {"NDCG@20": epoch / 100}
        losses = {"next_item": 1 / epoch, "contrast": nan if epoch == 61 else 1.0}
        append_line(log, {"epoch": epoch, "losses": losses, "validation": validation})
    its = described_run(log, Outcome(61, 60, 0.6, 1.0, 0.1, 1.0))
    assert [epoch for epoch, _ in its.losses["next_item"]] == list(range(1, 62, 3))
    assert its.losses["contrast"][-1] == (58, 1.0)
    assert its.validation["NDCG@20"] == [(epoch, epoch / 100) for epoch in range(2, 61, 2)]


def test_a_bundle_does_not_differ_from_itself(bundle: Path, prepared: Path) -> None:
    assert compare_bundles(bundle, bundle, prepared, "test")["NDCG@20"].difference == 0


def test_the_same_seed_gives_the_same_metrics(bundle: Path, prepared: Path, tmp_path: Path) -> None:
    again = run_training(CONFIG, data=prepared, out=tmp_path / "bundles", work=tmp_path / "work")
    assert again.metrics == open_bundle(bundle).manifest.metrics


def test_killed_and_resumed_it_ends_where_it_would_have(bundle: Path, prepared: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of a run, then --resume: the same metrics as the run nobody disturbed."""
    config = tmp_path / "config.yaml"
    config.write_text(YAML)
    command = [sys.executable, "-m", "training.cli", "run", str(config), "--data", str(prepared)]
    command += ["--out", str(tmp_path / "bundles"), "--work", str(tmp_path / "work")]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = tmp_path / "work/log.jsonl"
    deadline = time.monotonic() + 60
    while len(read_lines(log)) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "it must die in the middle"
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    resumed = newest_bundle(tmp_path / "bundles")
    assert resumed is not None
    assert open_bundle(resumed).manifest.metrics == open_bundle(bundle).manifest.metrics
    assert [entry["epoch"] for entry in read_lines(log)] == [1, 2, 3, 4, 5, 6]
    draw_curves(log, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000


def scripted(prepared: Path, work: Path, scores: dict[int, float], **options: int) -> Trainer:
    """Trains as ever, but its validations find these scores, by their number."""
    loop = CONFIG.training.model_copy(update=options)
    config = CONFIG.model_copy(update={"method": "sasrec", "training": loop})
    trainer = build_trainer(config, load_prepared(prepared), work, torch.device("cpu"), Ranks())

    def validate(_: IntentMethod) -> dict[str, float]:
        return {"NDCG@20": scores[len(read_lines(work / "log.jsonl")) + 1]}

    return replace(trainer, validate=validate)


@pytest.mark.parametrize(
    ("every", "patience", "scores", "epochs", "best"),
    [
        (1, 2, {1: 0.1, 2: 0.3, 3: 0.2, 4: 0.3}, 4, 2),
        (3, 2, {3: 0.1, 6: 0.2, 9: 0.2}, 9, 6),  # more epochs between validations than patience
        (3, 4, {3: 0.1, 6: 0.1, 9: 0.1}, 9, 3),  # 6 is within patience, 7 is not looked at
        (8, 1, {8: 0.1, 10: 0.2}, 10, 10),
        (20, 1, {10: 0.1}, 10, 10),  # the last is looked at
    ],
)
def test_patience_ends_after_a_validation_that_was_no_better(
    prepared: Path, tmp_path: Path, every: int, patience: int, scores: dict[int, float], epochs: int, best: int
) -> None:
    """What is published was selected; stopped in the middle and resumed, it ends at the same epoch with the same."""
    options = {"evaluate_every": every, "patience": patience, "max_epochs": 10}
    whole = scripted(prepared, tmp_path / "whole", scores, **options)
    parts = scripted(prepared, tmp_path / "parts", scores, **options)
    outcome = whole.run(resume=False)
    assert (outcome.epochs, outcome.best_epoch, outcome.best_score) == (epochs, best, scores[best])
    stopped = 2 if every > 2 else every
    with pytest.raises(KeyboardInterrupt):
        replace(parts, batches=_Ends(parts.batches, after=stopped)).run(resume=False)
    resumed = scripted(prepared, tmp_path / "parts", scores, **options)
    assert resumed.run(resume=True).epochs == epochs
    for name, value in whole.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[name]), name


class _Ends:
    """Batches of so many epochs, then the power goes."""

    def __init__(self, batches: TrainingBatches, *, after: int) -> None:
        self._batches, self._left = batches, after

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, seed: int) -> Iterator[Batch]:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return self._batches.epoch(seed)


def test_another_configuration_cannot_be_resumed(prepared: Path, tmp_path: Path) -> None:
    short = CONFIG.model_copy(update={"training": CONFIG.training.model_copy(update={"max_epochs": 1})})
    run_training(short, data=prepared, out=tmp_path / "bundles", work=tmp_path / "work")
    other = short.model_copy(update={"next_item_loss": "bce"})
    with pytest.raises(ValueError, match="belongs to another configuration or dataset"):
        run_training(other, data=prepared, out=tmp_path / "bundles", work=tmp_path / "work", resume=True)


def test_configurations_are_found_by_name_and_checked(tmp_path: Path) -> None:
    assert TrainingConfig.load("papers/iclrec").next_item_loss == "bce"
    with pytest.raises(ConfigError, match=r"nowhere is neither a file nor a built-in configuration \(cl4srec"):
        TrainingConfig.load("nowhere")
    (tmp_path / "bad.yaml").write_text("method: sasrec\nlearnig_rate: 1\n")
    with pytest.raises(ConfigError, match="learnig_rate"):
        TrainingConfig.load(str(tmp_path / "bad.yaml"))
    with pytest.raises(ValueError, match="--device must be auto, cpu or cuda"):
        choose_device("tpu")


def test_a_configuration_differs_by_dataset_and_by_setting(tmp_path: Path) -> None:
    assert TrainingConfig.load("papers/elcrec", dataset="beauty").options["cluster_weight"] == 10
    toys = TrainingConfig.load("papers/elcrec", dataset="toys", settings=["options.num_intents=64", "training.seed=7"])
    assert (toys.encoder.layers, toys.options["cluster_weight"], toys.options["num_intents"]) == (3, 1, 64)
    assert toys.training.seed == 7
    assert toys.encoder.hidden == 64, "what is not named stays"
    with pytest.raises(ConfigError, match="a setting is NAME=VALUE"):
        TrainingConfig.load("sasrec", settings=["options.num_intents"])
    with pytest.raises(ConfigError, match="no_such"):
        TrainingConfig.load("sasrec", settings=["training.no_such=1"])


@pytest.mark.parametrize(("written", "meant"), [("1e-2", 0.01), ("'0.5'", 0.5), ("3", 3), ("0.1", 0.1)])
def test_numbers_of_options_are_read_as_all_others(written: str, meant: float) -> None:
    """YAML takes 1e-2 for a text."""
    config = TrainingConfig.load(
        "iclrec", settings=[f"options.intent_weight={written}", f"training.learning_rate={written}"]
    )
    assert config.options["intent_weight"] == config.training.learning_rate == meant
    ranker = RankerConfig.load("clusters", settings=[f"options.cluster_weight={written}"])
    assert ranker.model_options().cluster_weight == meant


def test_options_of_the_right_type_stay_as_they_are_written() -> None:
    """They name a run's checkpoint."""
    options = {"num_intents": [8, 4], "temperature": 1, "augmentations": ["crop"], "mitigate_false_negatives": False}
    config = TrainingConfig.model_validate({"method": "iclrec", "options": options})
    assert json.dumps(config.options) == json.dumps(options)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("options.intent_weight=much", "options: intent_weight: Input should be a valid number.*, got 'much'"),
        ("options.augmentations=[drop]", r"options: augmentations: Input should be 'crop'.*, got \['drop'\]"),
        ("training.learning_rate=much", "training.learning_rate: Input should be a valid number.*, got 'much'"),
        ("training.max_epochs=0 ", "training.max_epochs: Input should be greater than or equal to 1, got 0"),
        ("options.no_such=1", "options of iclrec: .*'no_such'"),
        (
            "training.learning_rate=1e30",
            "training diverged: after epoch 1 the model is no longer finite; try a smaller",
        ),
    ],
)
def test_a_setting_that_does_not_do_is_one_sentence(prepared: Path, tmp_path: Path, setting: str, message: str) -> None:
    source = tmp_path / "config.yaml"
    source.write_text(YAML)
    [sentence] = refused(source, prepared, tmp_path, "--set", "training.max_epochs=1", "--set", setting)
    assert re.search(message, sentence), sentence


def refused(source: Path, data: Path, folder: Path, *options: str) -> list[str]:
    """What `run` says when it gives up."""
    places = ["--data", str(data), "--out", str(folder / "bundles"), "--work", str(folder / "work")]
    done = CliRunner().invoke(app, ["run", str(source), *places, *options])
    assert done.exit_code == 2, done.output
    return [line for line in done.stderr.splitlines() if not line.startswith("epoch ")]


def test_an_index_that_finds_too_little_is_refused_in_one_sentence(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.index.WANTED_RECALL", 1.5)
    source = tmp_path / "config.yaml"
    source.write_text(YAML)
    found = refused(source, prepared, tmp_path, "--set", "training.max_epochs=1")
    assert found == ["error: the item index finds 1.000 of the true top 20, wanted 1.5"]


@pytest.mark.parametrize(
    ("holdout", "lacking"), [("last", "no user has 3 items"), ("rest", "two items before the cut")]
)
def test_a_log_that_leaves_nothing_to_validate_with_is_refused(tmp_path: Path, holdout: Holdout, lacking: str) -> None:
    """Every user has two items."""
    (tmp_path / "log.txt").write_text("".join(f"u{user} a b\n" for user in range(9)))
    prepare(tmp_path / "log.txt", tmp_path / "two", options=PrepareOptions(core=0, holdout=holdout))
    source = tmp_path / "config.yaml"
    source.write_text(YAML)
    [sentence] = refused(source, tmp_path / "two", tmp_path)
    assert sentence.startswith("error: two has no ")
    assert lacking in sentence
    with pytest.raises(ValueError, match="two has no validation split"):
        evaluate_baseline("popularity", tmp_path / "two", "validation")


@pytest.mark.parametrize(
    "source", sorted(str(path.relative_to(BUILT_IN).with_suffix("")) for path in BUILT_IN.rglob("*.yaml"))
)
@pytest.mark.parametrize("dataset", ["beauty", "sports", "toys", "yelp", "ml-1m", "beauty-54k"])
def test_every_built_in_configuration_builds_its_method(source: str, dataset: str) -> None:
    config = TrainingConfig.load(source, dataset=dataset)
    method = build(config.method, 50, config.encoder, config.objective, config.options)
    assert method.name == config.method
