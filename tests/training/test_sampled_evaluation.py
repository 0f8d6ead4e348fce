"""The legacy protocol: the next item among 100 negatives drawn by popularity."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from training.cli import app
from training.config import TrainingConfig
from training.interactions import PrepareOptions, prepare
from training.pipeline import run_training
from training.run_log import read_lines
from training.sampled_evaluation import NEGATIVES, draw_negatives, evaluate_sampled, sampled_metrics
from training.sequences import Sequences, Split
from training.synthesis import SynthesisOptions, synthesize


def test_ranks_are_counted_among_the_candidates() -> None:
    """Ranks 1, 6 and, by a tie with all 100 others, 51."""
    scores = np.zeros((3, 1 + NEGATIVES))
    scores[0, 0] = 1
    scores[1, 1:6] = 2
    scores[1, 0] = 1
    found = sampled_metrics(scores)
    assert found["sampled100/HR@1"] == pytest.approx(1 / 3)
    assert found["sampled100/HR@5"] == pytest.approx(1 / 3)
    assert found["sampled100/HR@10"] == pytest.approx(2 / 3)
    assert found["sampled100/NDCG@10"] == pytest.approx((1 + 1 / np.log2(7)) / 3)
    assert found["sampled100/MRR"] == pytest.approx((1 + 1 / 6 + 1 / 51) / 3)


def test_negatives_are_popular_distinct_and_not_the_users() -> None:
    """Item 1 holds half of all interactions: nearly every user draws it, but not the one who knows it."""
    counts = np.array([1000] + [5] * 200 + [0] * 10)
    users = 50
    histories = Sequences(np.array([1, *range(2, users + 1)]), np.arange(users), np.ones(users, dtype=np.int64))
    split = Split("test", np.arange(users), histories, np.full(users, 150))
    drawn = draw_negatives(split, counts, np.random.default_rng(1))
    assert drawn.shape == (users, NEGATIVES)
    for number, rows in enumerate(drawn.tolist()):
        assert len(set(rows)) == NEGATIVES
        assert not {150, int(histories[number][0])} & set(rows)
        assert max(rows) <= 201, "an item that nobody bought is not drawn"
    assert (drawn[1:] == 1).any(axis=1).mean() > 0.95
    with pytest.raises(ValueError, match="fewer than 100 items are left"):
        draw_negatives(split, counts[:50], np.random.default_rng(1))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 users and 400 items, so that everyone leaves a hundred to draw."""
    folder = tmp_path_factory.mktemp("wide")
    synthesize(folder / "raw", SynthesisOptions(users=400, items=400, intents=4, mean_length=10))
    prepare(folder / "raw/interactions.csv", folder / "data", options=PrepareOptions(core=2))
    return folder / "data"


@pytest.mark.parametrize("method", ["sasrec", "dssrec"])
def test_the_command_labels_the_protocol(method: str, wide: Path, tmp_path: Path) -> None:
    """The next item among 100 strangers is found more often than by chance, 10 in 101."""
    config = TrainingConfig.model_validate(
        {
            "method": method,
            "encoder": {"hidden": 16, "layers": 1, "max_length": 10},
            "options": {"num_intents": 4},
            "training": {"max_epochs": 4, "learning_rate": 0.01},
        }
    )
    run_training(config, data=wide, out=tmp_path / "bundles", work=tmp_path / "work")
    results = tmp_path / "results.jsonl"
    command = ["evaluate", str(tmp_path / "bundles"), "--data", str(wide), "--protocol", "sampled-100"]
    shown = CliRunner().invoke(app, [*command, "--results", str(results)])
    assert shown.exit_code == 0, shown.output
    assert "sampled100/MRR" in shown.output
    assert read_lines(results)[0]["metrics"]["sampled100/HR@10"] > 0.15


def test_a_run_may_be_chosen_by_the_protocol(wide: Path, tmp_path: Path) -> None:
    """What chose the best epoch is what the published bundle scores on the same split."""
    training = {"max_epochs": 3, "batch_size": 64, "select_by": "sampled100/NDCG@10"}
    config = TrainingConfig.model_validate(
        {"method": "dssrec", "encoder": {"hidden": 16}, "options": {"num_intents": 2}, "training": training}
    )
    run = run_training(config, data=wide, out=tmp_path / "bundles", work=tmp_path / "work")
    assert run is not None
    scored = evaluate_sampled(run.published.path, wide, "validation")
    assert scored.metrics["sampled100/NDCG@10"] == pytest.approx(run.outcome.best_score, abs=1e-4)
    assert [score for _, score in run.validation_curve] == pytest.approx(
        [entry["validation"]["sampled100/NDCG@10"] for entry in read_lines(tmp_path / "work/log.jsonl")], abs=1e-5
    )
