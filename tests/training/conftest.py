"""A small prepared dataset with planted intents and a bundle trained on it, made once."""

from pathlib import Path

import numpy as np
import pytest

from training.config import TrainingConfig
from training.interactions import PrepareOptions, prepare
from training.pipeline import run_training
from training.sequences import Sequences
from training.synthesis import SynthesisOptions, synthesize

CONFIG = TrainingConfig.model_validate(
    {
        "method": "iclrec",
        "encoder": {"hidden": 16, "layers": 1, "max_length": 20, "dropout": 0.1},
        "options": {"num_intents": 4},
        "training": {"batch_size": 64, "learning_rate": 0.01, "max_epochs": 6, "patience": 6},
    }
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 users, 120 items, 4 intents."""
    folder = tmp_path_factory.mktemp("synthetic")
    synthesize(folder / "raw", SynthesisOptions(users=300, items=120, intents=4, mean_length=10))
    prepare(folder / "raw/interactions.csv", folder / "data", items=folder / "raw/items.csv", options=PrepareOptions())
    return folder / "data"


@pytest.fixture(scope="session")
def bundle(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published by six epochs of CONFIG."""
    folder = tmp_path_factory.mktemp("run")
    finished = run_training(CONFIG, data=prepared, out=folder / "bundles", work=folder / "work")
    assert finished is not None
    return finished.published.path


def sequences(*lists: list[int]) -> Sequences:
    """One sequence of item rows a user."""
    lengths = np.array([len(items) for items in lists])
    return Sequences(np.concatenate([np.array(items) for items in lists]), np.cumsum(lengths) - lengths, lengths)
