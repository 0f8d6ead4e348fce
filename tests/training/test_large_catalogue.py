"""What is otherwise done for catalogues too large to score whole, on a small one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from service.bundle.files import open_bundle
from tests.training.conftest import CONFIG, sequences
from training import evaluation
from training.bundle_evaluation import evaluate_baseline, evaluate_bundle
from training.config import TrainingConfig
from training.distributed import Ranks
from training.evaluation import top_rows_of_method
from training.pipeline import Run, build_trainer, run_training
from training.prepared import load_prepared
from training.sequences import Split, held_out

USERS = 100  # of 300 who are ranked for


def sampled(epochs: int) -> TrainingConfig:
    """CONFIG with a sample of 64 items a batch."""
    training = CONFIG.training.model_copy(update={"max_epochs": epochs, "evaluated_users": USERS})
    negatives = {"count": 64, "distribution": "log_uniform"}
    changes = {"next_item_loss": "sampled", "negatives": negatives, "training": training.model_dump()}
    return TrainingConfig.model_validate(CONFIG.model_dump() | changes)


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("sampled")
    run = run_training(sampled(5), data=prepared, out=folder / "bundles", work=folder / "work", device="cpu")
    assert run is not None
    return run


def test_it_learns_from_a_sample(undisturbed: Run, prepared: Path) -> None:
    popular = evaluate_baseline("popularity", prepared, "test").metrics["HR@20"]
    assert undisturbed.metrics["test"]["HR@20"] > 1.2 * popular


def test_the_served_path_scores_the_same_users(undisturbed: Run, prepared: Path) -> None:
    scored = evaluate_bundle(undisturbed.published.path, prepared, "test")
    assert scored.largest_difference is not None
    assert scored.largest_difference <= 1e-4
    assert scored.metrics["HR@20"] * USERS == pytest.approx(round(scored.metrics["HR@20"] * USERS))


def test_resumed_it_ends_where_it_would_have(undisturbed: Run, prepared: Path, tmp_path: Path) -> None:
    """The moments of lazy Adam are in the checkpoint."""
    places = {"data": prepared, "out": tmp_path / "bundles", "work": tmp_path / "work", "device": "cpu"}
    run_training(sampled(3), **places)
    resumed = run_training(sampled(5), **places, resume=True)
    assert resumed is not None
    assert resumed.metrics == undisturbed.metrics
    assert open_bundle(resumed.published.path).manifest.next_item_loss == "sampled"


def test_few_scores_at_a_time_rank_as_all_at_once(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Room for seven users of 120 items."""
    data = load_prepared(prepared)
    method = build_trainer(sampled(1), data, tmp_path, torch.device("cpu"), Ranks()).method
    split = held_out(data, "test")
    wanted = top_rows_of_method(method, split, torch.device("cpu"))
    monkeypatch.setattr(evaluation, "SCORES_AT_ONCE", 7 * len(data.item_ids))
    assert np.array_equal(top_rows_of_method(method, split, torch.device("cpu")), wanted)


def test_spaced_users_keep_their_histories_and_targets() -> None:
    """Three of five: the first, the middle and the last."""
    split = Split("test", np.arange(10, 15), sequences([1], [2, 3], [4], [5, 6], [7]), np.array([8, 9, 8, 9, 8]))
    spaced = split.spaced(3)
    assert spaced.users.tolist() == [10, 12, 14]
    assert [spaced.histories[number].tolist() for number in range(3)] == [[1], [4], [7]]
    assert spaced.targets.tolist() == [8, 8, 8]
    assert split.spaced(None) is split
    assert split.spaced(9) is split
