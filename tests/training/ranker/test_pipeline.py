"""From a bundle and exposures to a bundle that serves a second stage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.ranker import Ranker, RankerOptions
from service.bundle.files import open_bundle
from service.engine import Engine
from service.inference.ranker import Context
from service.inference.ranker import Ranker as ServedRanker
from service.inference.recommender import Recommender
from service.question import Question
from service.telemetry import Stages
from tests.training.ranker.test_exposures import DAY, EVENT, EXPOSURE, event, exposure, write
from training.blending import NoGainError, blend
from training.cli import app
from training.config import ConfigError
from training.export import ParityError
from training.ranker.config import RankerConfig
from training.ranker.export import check_parity, export_ranker
from training.ranker.exposures import NoExposuresError
from training.ranker.pipeline import check_gain, train_ranker

LISTS, SHOWN = 600, 10
CONFIG = {"options": {"clusters": 3}, "training": {"max_epochs": 12, "batch_size": 64, "learning_rate": 0.01}}


def long_tail(bundle: Path) -> np.ndarray:
    """Which items (V) are less popular than most."""
    popularity = open_bundle(bundle).popularity
    return np.asarray(popularity < np.median(popularity))


def write_log(bundle: Path, folder: Path, *, days: int = 3) -> Path:
    """Lists of random items over so many days. Long-tail items are clicked with .5 where looked at, others with .05.

    Place p is looked at with 1 / p. A third of the clicks convert.
    """
    generator = np.random.default_rng(1)
    items, tail = [item.item_id for item in open_bundle(bundle).items], long_tail(bundle)
    lists: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for number in range(LISTS):
        rows = generator.choice(len(items), SHOWN, replace=False) + 1
        user, time = f"u{number % 100}", DAY * (20_000 + number * days // LISTS) + number
        attributes = json.dumps({"channel": ("app", "web")[number % 2]})
        more = {"user_id": user, "attributes": attributes, "stored_events": number // 100}
        lists.append(exposure(f"r{number}", "", time, **more) | {"items": [items[row - 1] for row in rows]})
        chance = np.where(tail[rows - 1], 0.5, 0.05) / np.arange(1, SHOWN + 1)
        events.append(event(f"v{number}", items[rows[0] - 1], time - 100, user_id=user))
        for row in rows[generator.random(SHOWN) < chance]:
            its = {"user_id": user, "recommendation_id": f"r{number}"}
            kind = "conversion" if generator.random() < 1 / 3 else "click"
            events.append(event(f"c{number}-{row}", items[row - 1], time + 10, type=kind, **its))
    write(folder / "exposures/experiment=e/day=2026-01-01/one.parquet", EXPOSURE, lists)
    write(folder / "day=2026-01-01/one.parquet", EVENT, events)
    return folder


@pytest.fixture(scope="module")
def log(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(bundle, tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def ranked(bundle: Path, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranked")
    made = train_ranker(bundle, log, folder / "bundles", RankerConfig.model_validate(CONFIG), folder / "work")
    assert (folder / "work/clusters.svg").stat().st_size > 1000
    assert len((folder / "work/log.jsonl").read_text().splitlines()) >= 3
    return made.path


def test_what_is_clicked_is_learned_and_where_nobody_looks_is_not_held_against_it(bundle: Path, ranked: Path) -> None:
    """Popular items are hardly clicked: the ranker finds out. The tenth place is looked at a tenth as often."""
    manifest = open_bundle(ranked).manifest
    its = manifest.ranker
    assert its is not None
    assert (manifest.parent, manifest.name) == (bundle.name, f"{bundle.name.rpartition('-')[0]}-ranked")
    metrics = its.metrics["all"]
    assert metrics["list AUC"] > 0.7 > 0.6 > metrics["first stage/list AUC"]
    assert metrics["CTR AUC"] > metrics["first stage/CTR AUC"]
    assert (metrics["lists"], its.exposures, its.whole_histories) == (LISTS // 3, LISTS, 1.0)
    assert its.position_weights[0] == 1
    assert its.position_weights[9] == pytest.approx(0.1, abs=0.07)
    assert its.attributes == {"channel": ["app", "web"]}
    assert {group: pytest.approx(1.0) for group in its.cluster_shares} == {
        group: sum(own) for group, own in its.cluster_shares.items()
    }


def test_the_engine_answers_by_the_ranker(bundle: Path, ranked: Path) -> None:
    """The first stage's 100 best by p(click) + p(conversion), as the ranker says them: nearly all of the long tail."""
    before, after = Engine.load(bundle), Engine.load(ranked)
    history = [after.vocabulary.item_id(row) for row in (3, 1, 4)]
    context = Context(3, {"channel": "web"}, 20_000 * DAY)
    question = Question(history=history, k=10, context=context)
    candidates = before.recommend([Question(history=history, k=100)], Stages())[0].ranking
    opened = open_bundle(ranked)
    recommender = Recommender(opened)
    weights = recommender.encode([[3, 1, 4]]).intent_weights
    click, conversion = ServedRanker(opened, recommender).chances([context], weights, [candidates])
    wanted = candidates.rows[np.argsort(-(click + conversion), kind="stable")[:10]]
    found = after.recommend([question], Stages())[0].ranking
    assert found.rows.tolist() == wanted.tolist()
    assert long_tail(bundle)[found.rows - 1].mean() >= 0.8
    assert after.recommend([Question(history=history, k=10)], Stages())[0].ranking.rows.tolist() == (
        candidates.rows[:10].tolist()
    )


def test_an_exported_ranker_that_says_something_else_is_refused() -> None:
    torch.manual_seed(1)
    widths = (4, 3, 5)
    one, other = (Ranker(*widths, RankerOptions(clusters=0)) for _ in range(2))
    with pytest.raises(ParityError, match="click differs by"):
        check_parity(one.eval(), export_ranker(other, widths), widths)


def test_one_day_of_exposures_is_too_few(bundle: Path, tmp_path: Path) -> None:
    log = write_log(bundle, tmp_path / "log", days=1)
    with pytest.raises(NoExposuresError, match="wanted lists with clicks before the last day, found 0 lists"):
        train_ranker(bundle, log, tmp_path, RankerConfig.model_validate(CONFIG), tmp_path / "work")


def test_a_ranker_is_not_blended_and_may_be_replaced(ranked: Path, prepared: Path, log: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has a ranker already"):
        blend(ranked, prepared, tmp_path)
    again = RankerConfig.model_validate(CONFIG | {"candidates": 7, "options": {"clusters": 0}})
    made = train_ranker(ranked, log, tmp_path / "bundles", again, tmp_path / "work")
    assert (made.second_stage.candidates, made.second_stage.cluster_shares) == (7, {})
    assert made.path.name.startswith(ranked.name.rpartition("-")[0] + "-")


def test_a_ranker_that_gains_nothing_is_not_published(ranked: Path) -> None:
    """It must order lists better than the first stage: as well is not enough."""
    its = open_bundle(ranked).manifest.ranker
    assert its is not None
    check_gain(its, "parent")
    equal = its.model_copy(update={"metrics": {"all": {"list AUC": 0.6, "first stage/list AUC": 0.6}}})
    with pytest.raises(NoGainError, match=r"no better than parent alone: list AUC 0\.6000, wanted more"):
        check_gain(equal, "parent")


def test_the_command_trains_and_refuses_with_a_sentence(bundle: Path, log: Path, tmp_path: Path) -> None:
    words = ["ranker", str(bundle), "--exposures", str(log), "--out", str(tmp_path / "bundles")]
    words += ["--work", str(tmp_path / "work"), "--config", "plain"]
    found = CliRunner().invoke(app, [*words, "--set", "training.max_epochs=12", "--set", "training.learning_rate=0.01"])
    assert found.exit_code == 0, found.output
    assert "wrote " in found.output
    refused = CliRunner().invoke(app, [*words, "--set", "options.depth=3"])
    assert refused.exit_code == 2
    assert "unexpected keyword argument 'depth'" in refused.output


def test_configurations_are_read_by_name() -> None:
    assert RankerConfig.load("clusters").model_options().clusters == 20
    assert RankerConfig.load("plain").model_options().clusters == 0
    with pytest.raises(ConfigError, match=r"built-in configuration \(clusters, plain\)"):
        RankerConfig.load("nothing")
