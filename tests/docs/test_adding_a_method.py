"""The method of docs/adding-a-method.md becomes a bundle that answers, as it is printed."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from models.encoder import EncoderOptions
from models.methods import METHODS, Objective, build
from service.app import create_app
from service.settings import Settings
from tests.docs.pages import blocks
from tests.docs.test_blocks_run import METHOD_PAGE
from training.config import TrainingConfig
from training.interactions import prepare
from training.pipeline import run_training
from training.synthesis import SynthesisOptions, synthesize


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's configuration; its module is imported, and its method forgotten after the test."""
    [code], [config] = ([one for one in blocks(kind) if one.page == METHOD_PAGE] for kind in ("python", "yaml"))
    (tmp_path / "meanrec.py").write_text(code.text)
    (tmp_path / "meanrec.yaml").write_text(config.text)
    known = dict(METHODS)
    spec = importlib.util.spec_from_file_location("meanrec", tmp_path / "meanrec.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "meanrec", module)
    spec.loader.exec_module(module)
    yield tmp_path / "meanrec.yaml"
    METHODS.clear()
    METHODS.update(known)


def test_its_encoding_does_not_depend_on_the_batch(printed: Path) -> None:
    """[1, 2] alone, and beside [3, 4, 5]."""
    torch.manual_seed(1)
    method = build("meanrec", 9, EncoderOptions(hidden=8, layers=1), Objective(), {"num_intents": 2}).eval()
    alone = method.encode(torch.tensor([1, 2]), torch.tensor([2]))
    together = method.encode(torch.tensor([1, 2, 3, 4, 5]), torch.tensor([2, 3]))
    torch.testing.assert_close(together.query_vectors[:1], alone.query_vectors)


def test_it_is_trained_published_and_asked(printed: Path, tmp_path: Path) -> None:
    """Two epochs on planted intents; publishing passes its gates, and the service answers from the bundle."""
    synthesize(tmp_path / "raw", SynthesisOptions(users=200, items=100, intents=4))
    prepare(tmp_path / "raw/interactions.csv", tmp_path / "data")
    config = TrainingConfig.load(str(printed), settings=["training.max_epochs=2"])
    assert config.complete()["options"] == {"num_intents": 8, "whole_weight": 1.0}
    finished = run_training(config, data=tmp_path / "data", out=tmp_path / "bundles", work=tmp_path / "work")
    assert finished is not None
    bundle = finished.published.path
    with TestClient(create_app(Settings(bundle=bundle, store=f"sqlite:///{tmp_path}/store.sqlite3"))) as client:
        answer = client.post("/v1/recommendations", json={"history": ["item-7"], "k": 5, "intents": 8}).json()
        served = client.get("/v1/intents").json()
    assert (answer["source"], len(answer["items"]), len(answer["intents"])) == ("model", 5, 8)
    assert served["meaning"].startswith("softmax of cosine")
