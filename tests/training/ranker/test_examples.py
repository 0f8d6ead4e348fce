"""What the ranker learns from is what the service would give it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from service.bundle.files import open_bundle
from service.bundle.manifest import SecondStage
from service.engine import Engine
from service.question import Question
from service.telemetry import Stages
from tests.service.inference.test_ranker import STAGE
from tests.training.ranker.test_exposures import EVENT, EXPOSURE, event, exposure, write
from training.blending import blend
from training.ranker.config import RankerConfig
from training.ranker.examples import examples_of
from training.ranker.exposures import read_exposures


@pytest.mark.parametrize("blended", [False, True])
def test_scores_are_those_of_the_first_stage_whatever_was_shown_with_them(
    bundle: Path, prepared: Path, tmp_path: Path, blended: bool
) -> None:
    """A user of three events and one of none get the same twelve items, in another order than by score."""
    path = blend(bundle, prepared, tmp_path / "bundles").path if blended else bundle
    engine = Engine.load(path)
    catalogue = [engine.vocabulary.item_id(row) for row in range(1, len(engine.vocabulary) + 1)]
    items = catalogue[:20]
    history, shown = [items[2], items[0], items[3]], items[7:19]
    lists = [
        exposure("r", "", 10, stored_events=4) | {"items": shown},
        exposure("s", "", 11, user_id="stranger") | {"items": shown},
    ]
    write(tmp_path / "exposures/experiment=e/day=2026-01-01/one.parquet", EXPOSURE, lists)
    events = [event(str(number), item, number) for number, item in enumerate(history)]
    write(tmp_path / "day=2026-01-01/one.parquet", EVENT, events)
    log = read_exposures(tmp_path, catalogue, RankerConfig())
    found = examples_of(log, open_bundle(path), SecondStage(**STAGE))
    answer = engine.recommend([Question(history=history, k=12, allow=shown)], Stages())[0].ranking
    scores = dict(zip(answer.rows.tolist(), answer.scores.tolist(), strict=True))
    assert found.rows.tolist() == [*range(8, 20)] * 2
    assert found.facts[:12, 0].tolist() == pytest.approx([scores[row] for row in range(8, 20)], abs=1e-4)
    assert found.intent_weights.sum(dim=1).tolist() == pytest.approx([1, 0], abs=1e-5)
    assert found.facts[12:, 2].tolist() == [0] * 12, "no history, no intents that could match"
    assert found.whole == 0.5, "of the first user the log holds three events of four"


def test_candidates_of_some_lists_lie_end_to_end(bundle: Path, tmp_path: Path) -> None:
    """Lists of 2, 1 and 3 items: those of the third and the first are at 3, 4, 5 and 0, 1."""
    items = [item.item_id for item in open_bundle(bundle).items]
    lists = [exposure(str(n), "", n) | {"items": items[:count]} for n, count in enumerate((2, 1, 3))]
    write(tmp_path / "exposures/experiment=e/day=2026-01-01/one.parquet", EXPOSURE, lists)
    write(tmp_path / "day=2026-01-01/one.parquet", EVENT, [event("1", items[0], 100)])
    log = read_exposures(tmp_path, items, RankerConfig())
    found = examples_of(log, open_bundle(bundle), SecondStage(**STAGE))
    places, owners = found.candidates(np.array([2, 0]))
    assert (places.tolist(), owners.tolist()) == ([3, 4, 5, 0, 1], [0, 0, 0, 1, 1])
    assert torch.equal(found.item_vectors[0], torch.zeros_like(found.item_vectors[0]))
