"""The gate before a bundle is served: what passes, what does not, and that bundles of other data are judged fairly."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import check_files, find_bundles, open_bundle
from tests.training.conftest import CONFIG
from training.blending import blend
from training.bundle_evaluation import evaluate_bundle, top_rows_of_bundle
from training.pipeline import run_training
from training.prepared import load_prepared
from training.promotion import PromotionRefusedError, promote, top_rows_by_item_id
from training.sequences import held_out


@pytest.fixture(scope="module")
def better(bundle: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with co-occurrence blended in."""
    return blend(bundle, prepared, tmp_path_factory.mktemp("blended")).path


def test_the_first_bundle_has_popularity_to_beat(bundle: Path, prepared: Path, tmp_path: Path) -> None:
    promoted = promote(bundle, prepared, tmp_path / "served")
    assert promoted.path == tmp_path / "served" / bundle.name
    check_files(promoted.path)
    assert [rival.name for rival in promoted.rivals] == ["popularity"]
    assert promoted.criterion > promoted.rivals[0].criterion
    assert promoted.criterion == evaluate_bundle(bundle, prepared, "test").metrics["NDCG@20"]


def test_what_learned_nothing_is_refused(prepared: Path, tmp_path: Path) -> None:
    """Popularity ranks better than vectors that hardly moved."""
    untrained = CONFIG.model_copy(
        update={"training": CONFIG.training.model_copy(update={"max_epochs": 1, "learning_rate": 1e-9})}
    )
    made = run_training(untrained, data=prepared, out=tmp_path / "bundles", work=tmp_path / "work")
    assert made is not None
    with pytest.raises(PromotionRefusedError, match="of popularity"):
        promote(made.published.path, prepared, tmp_path / "served")
    assert find_bundles(tmp_path / "served") == []


def test_a_step_back_is_refused_beyond_what_may_be_lost(
    bundle: Path, better: Path, prepared: Path, tmp_path: Path
) -> None:
    """The served bundle's share that would be lost, just allowed and just not."""
    [before, after] = [evaluate_bundle(one, prepared, "test").metrics["NDCG@20"] for one in (better, bundle)]
    loss = (before - after) / before
    assert loss > 0.01
    served = promote(better, prepared, tmp_path).path
    with pytest.raises(PromotionRefusedError, match=f"of {better.name}"):
        promote(bundle, prepared, tmp_path, largest_loss=loss - 0.001)
    assert find_bundles(tmp_path) == [served]
    promoted = promote(bundle, prepared, tmp_path, largest_loss=loss + 0.001)
    assert find_bundles(tmp_path) == [promoted.path, served], "the newest is what services take"


def test_what_is_promoted_again_is_the_newest_again(bundle: Path, better: Path, prepared: Path, tmp_path: Path) -> None:
    """Its files stay as they are; a bundle that a clock ahead of ours wrote is no obstacle."""
    for one in (bundle, better):
        promote(one, prepared, tmp_path, largest_loss=1)
    ahead = time.time_ns() + 3_600_000_000_000
    os.utime(tmp_path / better.name / "manifest.json", ns=(ahead, ahead))
    before = (tmp_path / bundle.name / "encoder.onnx").stat()
    for name, other in ((bundle, better), (better, bundle), (bundle, better)):
        promoted = promote(name, prepared, tmp_path, largest_loss=1).path
        assert find_bundles(tmp_path) == [promoted, tmp_path / other.name]
        check_files(promoted)
    after = (tmp_path / bundle.name / "encoder.onnx").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    promoted = promote(tmp_path / better.name, prepared, tmp_path, largest_loss=1).path
    assert find_bundles(tmp_path) == [promoted, tmp_path / bundle.name], "from where it lies"


@pytest.mark.parametrize("damage", ["truncated", "foreign", "no manifest"])
def test_what_lies_damaged_where_it_is_served_is_replaced(
    bundle: Path, prepared: Path, tmp_path: Path, damage: str
) -> None:
    target = promote(bundle, prepared, tmp_path).path
    if damage == "truncated":
        os.truncate(target / "encoder.onnx", 10)
    elif damage == "foreign":
        (target / "notes.txt").write_text("?")
    else:
        (target / "manifest.json").unlink()
    assert promote(bundle, prepared, tmp_path).path == target
    assert open_bundle(target).bundle_id == bundle.name
    assert sorted(path.name for path in tmp_path.iterdir()) == [".promoting", target.name]
    assert list((tmp_path / ".promoting").iterdir()) == []


def test_a_damaged_bundle_is_no_rival(bundle: Path, prepared: Path, tmp_path: Path) -> None:
    """Services refuse it too."""
    (tmp_path / "damaged-0123456789abcdef").mkdir()
    (tmp_path / "damaged-0123456789abcdef/manifest.json").write_text("{}")
    assert [rival.name for rival in promote(bundle, prepared, tmp_path).rivals] == ["popularity"]


def test_a_bundle_of_other_rows_gives_the_same_lists(bundle: Path, prepared: Path) -> None:
    """The dataset with its item rows in reverse: row r is V + 1 - r there, in histories as in lists."""
    dataset, opened = load_prepared(prepared), open_bundle(bundle)
    items = len(dataset.item_ids)
    turned = replace(dataset, item_ids=dataset.item_ids[::-1], rows=items + 1 - dataset.rows)
    expected = top_rows_of_bundle(opened, held_out(dataset, "test"))
    found = top_rows_by_item_id(opened, held_out(turned, "test"), turned)
    np.testing.assert_array_equal(found, np.where(expected > 0, items + 1 - expected, 0))


def test_items_that_one_of_both_lacks_are_left_out(bundle: Path, prepared: Path) -> None:
    """One item renamed: the bundle does not know it in histories, and its own item is no hit."""
    dataset, opened = load_prepared(prepared), open_bundle(bundle)
    renamed = replace(dataset, item_ids=["renamed", *dataset.item_ids[1:]])
    split = held_out(renamed, "test")
    found = top_rows_by_item_id(opened, split, renamed)
    assert 1 not in found
    without = [number for number in range(len(split.targets)) if 1 not in split.histories[number]]
    expected = top_rows_of_bundle(opened, split)
    assert 0 < len(without) < len(split.targets)
    np.testing.assert_array_equal(found[without], np.where(expected == 1, 0, expected)[without])


def test_a_refusal_is_a_sentence_and_an_exit_code(bundle: Path, better: Path, prepared: Path, tmp_path: Path) -> None:
    promote(better, prepared, tmp_path)
    command = [sys.executable, "-m", "training.cli", "promote", str(bundle), "--data", str(prepared)]
    refused = subprocess.run([*command, "--into", str(tmp_path), "--largest-loss", "0"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.strip().startswith(f"error: {bundle.name} was not promoted: NDCG@20 ")
    done = subprocess.run([*command, "--into", str(tmp_path), "--largest-loss", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"wrote {tmp_path / bundle.name}"
