"""Every method from a log to answers of the API: callers get the top 20 that was evaluated, and intents."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.methods import METHODS
from service.app import create_app
from service.bundle.files import open_bundle
from service.inference.recommender import Recommender
from service.settings import Settings
from training.bundle_evaluation import evaluate_bundle
from training.config import TrainingConfig
from training.evaluation import top_rows_of_recommender
from training.interactions import prepare
from training.pipeline import run_training
from training.prepared import load_prepared
from training.sequences import held_out
from training.synthesis import SynthesisOptions, synthesize

USERS = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    synthesize(folder / "raw", SynthesisOptions(users=200, items=100, intents=4))
    prepare(folder / "raw/interactions.csv", folder / "data", items=folder / "raw/items.csv")
    return folder / "data"


@pytest.mark.parametrize("name", sorted(METHODS))
def test_callers_get_the_evaluated_lists_and_intents(name: str, data: Path, tmp_path: Path) -> None:
    config = TrainingConfig.model_validate(
        {
            "method": name,
            "shared_next_item_weight": 0.1,
            "encoder": {"hidden": 16, "layers": 1, "max_length": 10, "dropout": 0.1},
            "options": {"num_intents": 4},
            "training": {"batch_size": 64, "learning_rate": 0.01, "max_epochs": 2},
        }
    )
    finished = run_training(config, data=data, out=tmp_path, work=tmp_path / "work")
    assert finished is not None
    path = finished.published.path
    bundle = open_bundle(path)
    assert bundle.manifest.query_vectors == (4 if name == "dssrec" else 1)
    assert (evaluate_bundle(path, data, "test").largest_difference or 0) <= 1e-4
    prepared, split = load_prepared(data), held_out(load_prepared(data), "test")
    lists = top_rows_of_recommender(Recommender(bundle), split, lambda done: None)
    settings = Settings(bundle=path, store=f"sqlite:///{tmp_path}/store.sqlite3")
    with TestClient(create_app(settings)) as client:
        for number in range(USERS):
            history = [prepared.item_ids[row - 1] for row in split.histories[number]]
            answer = client.post("/v1/recommendations", json={"history": history, "k": 20, "intents": 4}).json()
            wanted = [prepared.item_ids[row - 1] for row in lists[number]]
            assert [item["item_id"] for item in answer["items"]] == wanted, number
            assert answer["source"] == "model"
            assert sum(intent["weight"] for intent in answer["intents"]) == pytest.approx(1, abs=1e-4)
