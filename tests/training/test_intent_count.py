"""The number of intents that the data holds."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from training.cli import app
from training.config import TrainingConfig
from training.intent_count import Estimate, estimate_count
from training.pipeline import run_training


@pytest.mark.parametrize("planted", [6, 20])
def test_separated_groups_are_counted(planted: int) -> None:
    """Planted directions in 32 dimensions with noise of half their length."""
    generator = np.random.default_rng(planted)
    directions = generator.normal(size=(planted, 32))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    noise = generator.normal(size=(3000, 32)) * 0.5 / np.sqrt(32)
    found = estimate_count((directions[np.arange(3000) % planted] + noise).astype(np.float32))
    assert found.best == planted
    assert found.stability[planted] > 0.95


def test_the_edge_of_the_grid_is_no_estimate() -> None:
    """Counts as stable as the best within .02 are one plateau, whose largest is taken."""
    assert Estimate({8: 0.5, 16: 0.99, 20: 0.98, 24: 0.6}).verdict == "estimate: 20 intents (agreement 0.98)"
    assert "most stable count, 8, is the smallest that was tried" in Estimate({8: 0.9, 16: 0.6, 32: 0.5}).verdict
    assert "most stable count, 32, is the largest that was tried" in Estimate({8: 0.5, 16: 0.6, 32: 0.9}).verdict


def test_too_few_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="5 sequences are too few"):
        estimate_count(np.eye(5, dtype=np.float32))


def test_the_command_shows_the_whole_curve(prepared: Path, tmp_path: Path) -> None:
    config = TrainingConfig.model_validate(
        {"method": "sasrec", "encoder": {"hidden": 16}, "options": {"num_intents": 4}, "training": {"max_epochs": 1}}
    )
    run_training(config, data=prepared, out=tmp_path / "bundles", work=tmp_path / "work")
    shown = CliRunner().invoke(app, ["estimate-intents", str(tmp_path / "bundles"), "--data", str(prepared)])
    assert shown.exit_code == 0, shown.output
    assert "<- most stable" in shown.output
    assert "estimate: " in shown.output
