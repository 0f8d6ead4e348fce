"""A small prepared dataset with planted intents, made once."""

from pathlib import Path

import pytest

from training.interactions import PrepareOptions, prepare
from training.synthesis import SynthesisOptions, synthesize


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 users, 120 items, 4 intents."""
    folder = tmp_path_factory.mktemp("synthetic")
    synthesize(folder / "raw", SynthesisOptions(users=300, items=120, intents=4, mean_length=10))
    prepare(folder / "raw/interactions.csv", folder / "data", items=folder / "raw/items.csv", options=PrepareOptions())
    return folder / "data"
