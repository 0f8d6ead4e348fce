"""Two ranks learn what one rank learns from the same global batches."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from training.config import TrainingConfig
from training.distributed import Ranks
from training.pipeline import build_trainer, run_training
from training.prepared import load_prepared
from training.run_log import read_lines

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("sasrec", {}, "ce"),
    ("cl4srec", {"augmentations": []}, "sampled"),  # whose gradients are sparse
    ("iclrec", {"augmentations": []}, "ce"),
    ("elcrec", {"augmentations": []}, "ce"),
    ("s4rec", {"augmentations": []}, "ce"),
    ("dssrec", {"seq2seq_weight": 0}, "ce"),  # seq2seq draws its positions on each rank
]


def train_in_two_processes(prepared: Path, folder: Path, config: TrainingConfig) -> None:
    """The real command under torchrun."""
    source = folder / "config.yaml"
    source.write_text(config.model_dump_json())
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "training.cli", "run", str(source), "--data", str(prepared), "--device", "cpu"]
    places = ["--out", str(folder / "bundles"), "--work", str(folder / "two")]
    found = subprocess.run(
        [sys.executable, *launcher, *command, *places], capture_output=True, text=True, check=False, timeout=120
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert len(list((folder / "bundles").iterdir())) == 1, "one rank publishes"


@pytest.mark.parametrize(("method", "options", "loss"), CASES, ids=[f"{name}-{loss}" for name, _, loss in CASES])
def test_two_ranks_have_the_losses_of_one(
    prepared: Path, tmp_path: Path, method: str, options: dict[str, Any], loss: str
) -> None:
    """300 sequences in global batches of 60; no dropout, view or rounding: what is drawn is drawn for all ranks."""
    config = TrainingConfig.model_validate(
        {
            "method": method,
            "next_item_loss": loss,
            "negatives": {"count": 64},
            "shared_next_item_weight": 0.1,
            "encoder": {"hidden": 16, "layers": 1, "heads": 2, "max_length": 20, "dropout": 0.0},
            "options": {"num_intents": 4} | options,
            "training": {"batch_size": 60, "learning_rate": 0.01, "max_epochs": 2, "precision": "float32"},
        }
    )
    run_training(config, data=prepared, out=tmp_path, work=tmp_path / "one", device="cpu")
    train_in_two_processes(prepared, tmp_path, config)
    for alone, together in zip(*(read_lines(tmp_path / work / "log.jsonl") for work in ("one", "two")), strict=True):
        assert together["losses"] == pytest.approx(alone["losses"], rel=1e-3), alone["epoch"]
        assert together["validation"]["NDCG@20"] == pytest.approx(alone["validation"]["NDCG@20"], abs=0.01)


def test_candidates_of_one_batch_are_not_spread_over_ranks(prepared: Path, tmp_path: Path) -> None:
    config = TrainingConfig(method="dssrec", next_item_loss="in_batch")
    with pytest.raises(ValueError, match="in_batch takes the items of one process"):
        build_trainer(config, load_prepared(prepared), tmp_path, torch.device("cpu"), Ranks(0, 2))
