"""The index finds what there is, however little of the catalogue it looks at first."""

import numpy as np
import pytest

from service.inference import retrieval
from service.inference.allowed import Allowed
from service.inference.encoder import Floats
from service.inference.retrieval import VectorIndex, flat_index
from training.index import RecallError, item_index

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.standard_normal((40, 16), dtype=np.float32)
VECTORS = np.repeat(CENTRES, 100, axis=0) + 0.3 * RANDOM.standard_normal((4000, 16), dtype=np.float32)
QUERIES = CENTRES[:30] + 0.1 * RANDOM.standard_normal((30, 16), dtype=np.float32)


@pytest.fixture(scope="module")
def inverted() -> VectorIndex:
    serialized, recall = item_index(VECTORS, QUERIES, largest_exact=100)
    assert recall >= 0.98
    index = VectorIndex(serialized, first=1)
    assert index._probes < index._lists == 126, "it does not look everywhere"
    return index


@pytest.fixture(params=["flat", "inverted"])
def index(request: pytest.FixtureRequest, inverted: VectorIndex) -> VectorIndex:
    return inverted if request.param == "inverted" else VectorIndex(flat_index(VECTORS), first=1)


@pytest.mark.parametrize("few", [0, 20_000], ids=["searched", "compared one by one"])
@pytest.mark.parametrize("count", [1, 7, 300, 3999])
def test_a_selection_is_never_under_filled(
    index: VectorIndex, few: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few items may come, wherever they lie, they all come, with their scores, best first."""
    monkeypatch.setattr(retrieval, "FEW", few)
    chosen = RANDOM.choice(4000, count, replace=False)
    mask = np.zeros(4000, dtype=np.bool_)
    mask[chosen] = True
    scores, rows = index.search(QUERIES[:2], 5000, Allowed(mask))
    for number in range(2):
        assert sorted(rows[number].tolist()) == sorted((chosen + 1).tolist())
        assert (np.diff(scores[number]) <= 0).all()
        np.testing.assert_allclose(scores[number], VECTORS[rows[number] - 1] @ QUERIES[number], rtol=1e-4, atol=1e-4)


def test_a_deep_search_finds_everything(index: VectorIndex) -> None:
    _, rows = index.search(QUERIES[:1], 4000)
    assert sorted(rows[0].tolist()) == list(range(1, 4001))


def test_vectors_are_found_by_number(index: VectorIndex) -> None:
    np.testing.assert_array_equal(index.vector(4000), VECTORS[3999])
    np.testing.assert_array_equal(index.vectors_of(np.array([7, 1])), VECTORS[[6, 0]])
    np.testing.assert_array_equal(index.vectors(), VECTORS)


def test_an_index_that_misses_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.index.flat_index", lambda vectors: flat_index(vectors[::-1]))
    with pytest.raises(RecallError, match=r"wanted 0\.98"):
        item_index(VECTORS, QUERIES)


def test_the_recall_is_that_of_queries_that_did_not_choose() -> None:
    """Every second one points away from a centre, and others would not have looked far enough for it."""
    queries = QUERIES.copy()
    queries[1::2] = -CENTRES[:15]
    serialized, recall = item_index(VECTORS, queries, largest_exact=100)
    easy, _ = item_index(VECTORS, QUERIES, largest_exact=100)
    assert recall >= 0.98
    assert recall == pytest.approx(found_by(serialized, queries[1::2]))
    assert found_by(easy, queries[1::2]) < 0.98


def found_by(serialized: bytes, queries: Floats) -> float:
    """Share of the true top 20."""
    _, rows = VectorIndex(serialized, first=0).search(queries, 20)
    true = np.argsort(queries @ VECTORS.T, axis=1)[:, -20:]
    return float(np.mean([np.isin(one, best).mean() for one, best in zip(rows, true, strict=True)]))


def test_few_vectors_are_looked_at_where_most_are_short() -> None:
    """As of items hardly trained, in all directions; what users ask for lies in six dimensions."""
    directions = RANDOM.standard_normal((6, 64), dtype=np.float32) / 8
    vectors = 0.02 * RANDOM.standard_normal((20_000, 64), dtype=np.float32)
    vectors[::20] += RANDOM.standard_normal((1000, 6), dtype=np.float32) @ directions
    queries = RANDOM.standard_normal((100, 6), dtype=np.float32) @ directions
    index = VectorIndex(item_index(vectors, queries, largest_exact=100)[0], first=1)._index
    sizes = np.array([index.invlists.list_size(number) for number in range(index.nlist)])
    looked_at = sizes[index.quantizer.search(queries, index.nprobe)[1]].sum(axis=1)
    assert looked_at.mean() < 1000, "lists by angle ask for more"
