"""Co-occurrence as a bonus: the table by hand, the weight that validation chooses, the bundle that serves it."""

from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import open_bundle
from service.engine import Engine
from service.question import Question
from service.telemetry import Stages
from tests.training.conftest import sequences
from training.baselines import cooccurrences
from training.blending import blend, strongest_neighbours
from training.bundle_evaluation import compare_bundles, evaluate_bundle


def test_weights_of_neighbours_by_hand() -> None:
    """1 before 2 twice, of 2 and 3 occurrences: 2 / (2^.5 3^.2); half of it backwards."""
    training = sequences([1, 2], [1, 2], [2, 3])
    left, right, values = cooccurrences(training, 3)
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 2), (2, 1)]
    backwards = 0.5 * 2 / (3**0.5 * 2**0.2)
    assert values.tolist() == pytest.approx(
        [2 / (2**0.5 * 3**0.2), backwards, 1 / (3**0.5 * 1**0.2), 0.5 / (1**0.5 * 3**0.2)]
    )
    starts, rows, weights = strongest_neighbours(training, 3, kept=1)
    assert (starts.tolist(), rows.tolist()) == ([0, 1, 2, 3], [2, 3, 2])
    assert weights.tolist() == pytest.approx(values[[0, 2, 3]])


def test_an_item_that_never_occurs_has_no_neighbours() -> None:
    starts, rows, _ = strongest_neighbours(sequences([1, 3], [3, 1]), 4, kept=5)
    assert (starts.tolist(), rows.tolist()) == ([0, 1, 1, 2, 2], [3, 1])


def test_the_blend_that_validation_chose_is_what_is_measured_and_served(
    bundle: Path, prepared: Path, tmp_path: Path
) -> None:
    made = blend(bundle, prepared, tmp_path)
    assert made.tried[made.weight] == max(made.tried.values()) > made.tried[0.0]
    opened = open_bundle(made.path)
    assert (opened.manifest.parent, opened.manifest.blend.weight) == (bundle.name, made.weight)
    scored = evaluate_bundle(made.path, prepared, "test")
    assert scored.metrics == made.metrics["test"] == opened.manifest.metrics["test"]
    assert made.tried[0.0] == pytest.approx(open_bundle(bundle).manifest.metrics["validation"]["NDCG@20"], abs=1e-4)
    gain = compare_bundles(made.path, bundle, prepared, "validation")["NDCG@20"].difference
    assert gain == pytest.approx(made.tried[made.weight] - made.tried[0.0], abs=1e-6)
    before, after = Engine.load(bundle), Engine.load(made.path)
    history = [before.vocabulary.item_id(row) for row in (3, 1, 4)]
    plain, switched_off, blended = (
        engine.recommend([Question(history=history, blend=weight)], Stages())[0].ranking
        for engine, weight in ((before, None), (after, 0.0), (after, None))
    )
    np.testing.assert_array_equal(plain.rows, switched_off.rows)
    assert plain.rows.tolist() != blended.rows.tolist()


def test_a_blend_is_not_blended_again(bundle: Path, prepared: Path, tmp_path: Path) -> None:
    made = blend(bundle, prepared, tmp_path)
    with pytest.raises(ValueError, match=f"has a blend already: take {bundle.name}"):
        blend(made.path, prepared, tmp_path)
