"""The ranking graph says what the item vectors say."""

import numpy as np
import pytest

from service.inference.topk import TopK
from training import topk


def test_the_best_of_q_query_vectors_counts() -> None:
    """Items x, y and (-1, -1); queries x and 2 y: scores 1, 2, -1."""
    model = topk.topk_graph(np.array([[1, 0], [0, 1], [-1, -1]], dtype=np.float32))
    queries = np.array([[[1, 0], [0, 2]]], dtype=np.float32)
    scores, rows = TopK(model, items=3).best(queries, 5, [set()])[0]
    assert rows.tolist() == [2, 1, 3]
    assert scores.tolist() == [2.0, 1.0, -1.0]


def test_a_graph_that_ranks_otherwise_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(1).standard_normal((30, 4), dtype=np.float32)
    monkeypatch.setattr(topk, "_graph", lambda _, right=topk._graph: right(vectors[::-1]))
    with pytest.raises(topk.RankingError, match="otherwise than the item vectors"):
        topk.topk_graph(vectors)
