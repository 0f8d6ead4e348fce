"""The second stage as it is served: a ranker made by hand, whose chances can be read off the items' vectors."""

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.bundle.files import RANKER, BundleError, open_bundle, read_manifest, write_bundle
from service.bundle.manifest import SecondStage
from service.engine import Engine
from service.inference.ranker import INPUTS, Context, context_vector, context_width
from service.question import Question
from service.telemetry import Stages

HOUR = 3600
STAGE = {
    "candidates": 4,
    "conversion_value": 0.0,
    "activity_thresholds": [0, 5],
    "attributes": {"channel": ["app", "web"]},
    "clusters": 0,
    "exposures": 1,
    "whole_histories": 1.0,
}
NOBODY = Context(0, {}, 0.0)


def ranker_onnx(context: int = 9) -> bytes:
    """p(click) is an item's y, and for who has stored events far more its x; p(conversion) is x."""
    widths: dict[str, list[str | int]] = {"context": ["B", context], "intent_weights": ["B", 2], "owners": ["N"]}
    widths |= {"item_vectors": ["N", 2], "facts": ["N", 3]}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64 if name == "owners" else TensorProto.FLOAT, widths[name])
        for name in INPUTS
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in ("click", "conversion")]
    nodes = [
        helper.make_node("Gather", ["item_vectors", "zero"], ["conversion"], axis=1),
        helper.make_node("Gather", ["item_vectors", "one"], ["y"], axis=1),
        helper.make_node("Gather", ["context", "zero"], ["activity"], axis=1),
        helper.make_node("Gather", ["activity", "owners"], ["active"]),
        helper.make_node("Mul", ["active", "ten"], ["more"]),
        helper.make_node("Mul", ["more", "conversion"], ["raised"]),
        helper.make_node("Add", ["y", "raised"], ["click"]),
    ]
    values = {"zero": np.array(0), "one": np.array(1), "ten": np.array(10, dtype=np.float32)}
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "ranker", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def with_ranker(bundle: Path, root: Path, model: bytes | None = None, **stage: Any) -> Path:
    """The bundle and a second stage."""
    manifest = read_manifest(bundle)
    files = {name: (bundle / name).read_bytes() for name in manifest.files} | {RANKER: model or ranker_onnx()}
    described = manifest.model_dump(exclude={"files", "format_version"})
    return write_bundle(root, described | {"ranker": SecondStage(**(STAGE | stage)), "parent": bundle.name}, files)


def ids(engine: Engine, question: Question) -> str:
    return "".join("abcdef"[row - 1] for row in engine.recommend([question], Stages())[0].ranking.rows)


def test_a_context_by_hand() -> None:
    """Three events: log 4, the second of three groups; six o'clock is a quarter turn; web is the second value."""
    its = SecondStage(**STAGE)
    vector = context_vector(Context(3, {"channel": "web"}, 6 * HOUR), its)
    assert vector == pytest.approx([log(4), 0, 1, 0, 1, 0, 0, 1, 0])
    assert context_width(its) == len(vector)
    assert context_vector(Context(6, {"channel": "fax"}, 0), its) == pytest.approx([log(7), 0, 0, 1, 0, 1, 0, 0, 1])
    assert context_vector(NOBODY, its) == pytest.approx([0, 1, 0, 0, 0, 1, 0, 0, 0])


def test_the_best_candidates_are_ranked_anew(tiny_bundle: Path, tmp_path: Path) -> None:
    """[a] finds a, b, c, e, then d, f. The first four by y: e .9, b .1, a, c 0; of six d (1.0) is one too."""
    engine = Engine.load(with_ranker(tiny_bundle, tmp_path))
    assert engine.reranks
    assert ids(engine, Question(history=["a"], k=3)) == "abc"
    assert ids(engine, Question(history=["a"], k=3, context=NOBODY)) == "eba"
    answer = engine.recommend([Question(history=["a"], k=2, context=NOBODY)], Stages())[0]
    assert answer.ranking.scores.tolist() == pytest.approx([0.9, 0.1])
    assert ids(engine, Question(history=["a"], k=6, context=NOBODY)) == "defbac"


def test_a_conversion_counts_so_many_clicks(tiny_bundle: Path, tmp_path: Path) -> None:
    """y + x: a 1.0, b 1.0, e 1.0, c .8; ties by row."""
    engine = Engine.load(with_ranker(tiny_bundle, tmp_path, conversion_value=1.0))
    assert ids(engine, Question(history=["a"], k=4, context=NOBODY)) == "abec"


def test_neighbours_in_a_batch_do_not_change_what_is_a_candidate(tiny_bundle: Path, tmp_path: Path) -> None:
    engine = Engine.load(with_ranker(tiny_bundle, tmp_path, candidates=1))
    questions = [
        Question(history=["a"], k=2, context=NOBODY),
        Question(history=["a"], k=6, context=NOBODY),
        Question(history=["a"], k=2),
        Question(history=[], k=2, context=NOBODY),
        Question(history=["a"], k=2, max_per_category=1, context=NOBODY),
    ]
    together = engine.recommend(questions, Stages())
    for one, other in zip(questions, together, strict=True):
        alone = engine.recommend([one], Stages())[0]
        assert (alone.ranking.rows.tolist(), alone.source) == (other.ranking.rows.tolist(), other.source)


def test_popular_items_are_ranked_anew_but_not_those_of_a_place_that_was_preferred(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """The four most popular are a, b, c, d; d has the largest y. Category y asks for d, e, f in front of all others."""
    engine = Engine.load(with_ranker(tiny_bundle, tmp_path))
    assert ids(engine, Question(history=[], k=2, context=NOBODY)) == "db"
    assert ids(engine, Question(history=[], k=2)) == "ab"
    assert ids(engine, Question(history=[], k=4, category="y", context=NOBODY)) == "defa"


def test_a_list_of_one_a_category_is_made_of_what_was_ranked_anew(tiny_bundle: Path, tmp_path: Path) -> None:
    """By y: d of category y, then b of category x."""
    engine = Engine.load(with_ranker(tiny_bundle, tmp_path))
    assert ids(engine, Question(history=["a"], k=2, max_per_category=1, context=NOBODY)) == "db"


def test_a_bundle_without_a_ranker_says_nothing_of_one(tiny_bundle: Path) -> None:
    """So that readers from before there was one take it."""
    assert '"ranker"' not in (tiny_bundle / "manifest.json").read_text()
    assert open_bundle(tiny_bundle).manifest.ranker is None
    assert not Engine.load(tiny_bundle).reranks


def test_ranker_and_manifest_belong_together(tiny_bundle: Path, tmp_path: Path) -> None:
    manifest = read_manifest(tiny_bundle)
    files = {name: (tiny_bundle / name).read_bytes() for name in manifest.files}
    described = manifest.model_dump(exclude={"files", "format_version"})
    for odd in (
        write_bundle(tmp_path, described, files | {RANKER: ranker_onnx()}),
        write_bundle(tmp_path, described | {"ranker": SecondStage(**STAGE)}, files),
    ):
        with pytest.raises(BundleError, match=r"ranker.onnx and the manifest's ranker belong together"):
            open_bundle(odd)


def test_a_ranker_of_another_form_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ranker.onnx should take .*'context': 9.*takes .*'context': 8"):
        Engine.load(with_ranker(tiny_bundle, tmp_path, ranker_onnx(context=8)))
    onnx.checker.check_model(onnx.load_from_string(ranker_onnx()))
