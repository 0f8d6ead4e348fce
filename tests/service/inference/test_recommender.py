"""Rankings one can work out by hand: items a, b, c lie along x (1, .9, .8), d, e, f along y."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.bundle.files import open_bundle
from service.inference.allowed import Allowed
from service.inference.encoder import Encoder
from service.inference.merge import merge
from service.inference.recommender import Recommender


@pytest.fixture(scope="module", params=["exact", "index"])
def recommender(tiny_bundle: Path, request: pytest.FixtureRequest) -> Recommender:
    """One that scores the whole catalogue, and one that searches an index, as for a catalogue too large for that."""
    bundle = open_bundle(tiny_bundle)
    return Recommender(bundle if request.param == "exact" else replace(bundle, topk=None))


def test_the_history_is_the_query(recommender: Recommender) -> None:
    """[a] asks with (1, 0): a 1, b .9, c .8."""
    encoding = recommender.encode([[1]])
    ranking = recommender.rank(encoding.query_vectors, 3, [set()])[0]
    assert ranking.rows.tolist() == [1, 2, 3]
    assert ranking.scores.tolist() == pytest.approx([1.0, 0.9, 0.8])


def test_exclusions_never_under_fill(recommender: Recommender) -> None:
    """Without a, b and c the next three come; without all but f one is left."""
    query = recommender.encode([[1], [1]]).query_vectors
    rankings = recommender.rank(query, 3, [{1, 2, 3}, {1, 2, 3, 4, 5}])
    assert rankings[0].rows.tolist() == [5, 4, 6]  # e .1, then d and f tie at 0 and go by row
    assert rankings[1].rows.tolist() == [6]


def test_a_selection_leaves_its_items_alone(recommender: Recommender) -> None:
    """Of c, e and f the query (1, 0) gets c .8, e .1, f 0; without c two are left; the free neighbour gets all."""
    among = Allowed(np.array([False, False, True, False, True, True]))
    query = recommender.encode([[1], [1], [1]]).query_vectors
    selected, shorter, free = recommender.rank(query, 3, [set(), {3}, {1}], [among, among, None])
    assert selected.rows.tolist() == [3, 5, 6]
    assert shorter.rows.tolist() == [5, 6]
    assert free.rows.tolist() == [2, 3, 5]
    nothing = recommender.rank(query[:1], 3, [{3, 5, 6}], [among])[0]
    assert nothing.rows.tolist() == []


def test_ties_go_by_row(recommender: Recommender) -> None:
    """The empty query ties all items at 0."""
    assert recommender.rank(recommender.encode([[]]).query_vectors, 4, [{2}])[0].rows.tolist() == [1, 3, 4, 5]


def test_only_the_newest_items_are_read(recommender: Recommender) -> None:
    """max_length is 4: the two d at the front are gone."""
    long = recommender.encode([[4, 4, 1, 1, 1, 1]]).query_vectors
    np.testing.assert_allclose(long, recommender.encode([[1, 1, 1, 1]]).query_vectors)


def test_the_best_of_several_query_vectors_counts_once() -> None:
    """Item 7 is found by both at 3 and 5: it is kept at 5; the tie of 8 and 9 goes by row."""
    scores = np.array([[4.0, 3.0], [5.0, 4.0]], dtype=np.float32)
    found_scores, found_rows = merge(scores, np.array([[9, 7], [7, 8]]))
    assert found_rows.tolist() == [7, 8, 9]
    assert found_scores.tolist() == [5.0, 4.0, 4.0]


def test_similar_items_are_ranked_by_cosine(recommender: Recommender) -> None:
    """c points exactly as a does, b almost."""
    assert recommender.similar(1, 2).rows.tolist() == [3, 2]


def test_an_intent_has_items_and_neighbours(recommender: Recommender) -> None:
    assert recommender.intent_items(1, 2).rows.tolist() == [4, 5]
    assert recommender.intent_neighbours(0, 5).rows.tolist() == [1]


def test_a_model_with_data_outside_its_file_is_refused() -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], b"\0" * 4, raw=True)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    node = helper.make_node("Identity", ["w"], ["y"])
    graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])], [tensor])
    model: onnx.ModelProto = helper.make_model(graph)
    with pytest.raises(ValueError, match="keeps data outside its file"):
        Encoder(model.SerializeToString(), max_length=4)


def test_a_large_batch_is_ranked_in_parts(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = Recommender(open_bundle(tiny_bundle))
    histories = [[row] for row in (1, 4, 2, 5, 3)]
    query = recommender.encode(histories).query_vectors
    excluded = [set(history) for history in histories]
    among = [Allowed(np.arange(6) != 5), None, None, Allowed(np.arange(6) != 0), None]
    whole = recommender.rank(query, 3, excluded, among)
    monkeypatch.setattr("service.inference.topk.SCORES_AT_ONCE", 12)  # two queries of six items
    for part, one in zip(recommender.rank(query, 3, excluded, among), whole, strict=True):
        assert part.rows.tolist() == one.rows.tolist()
        np.testing.assert_array_equal(part.scores, one.scores)


def test_a_graph_of_another_form_is_refused(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    with pytest.raises(ValueError, match=r"topk\.onnx must take"):
        Recommender(replace(bundle, topk=bundle.encoder))
