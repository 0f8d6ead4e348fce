"""Lists that are not all of one kind, by hand."""

import numpy as np
import pytest

from service.inference.selection import first_of_each, marginally_relevant


@pytest.mark.parametrize(("most", "kept"), [(1, [0, 2, 4, 5]), (2, [0, 1, 2, 4, 5, 6]), (9, [0, 1, 2, 3, 4, 5, 6])])
def test_so_many_of_each_group_stay_in_order(most: int, kept: list[int]) -> None:
    """Groups 0 and 1; -1 is no group."""
    assert first_of_each(np.array([0, 0, 1, 0, -1, -1, 1]), most).tolist() == kept


def test_nothing_has_no_groups_and_no_relevance() -> None:
    assert first_of_each(np.empty(0, dtype=np.int64), 1).tolist() == []
    assert marginally_relevant(np.empty(0, np.float32), np.empty((0, 2), np.float32), 3, 0.5).tolist() == []


def test_each_next_item_is_relevant_and_unlike_those_before() -> None:
    """Relevance 1, .8, .5, 0 and cosines to the first 1, 1, 0: at one half .4 - .5 < .25 - 0, then .4 - .5 > 0 - .5."""
    scores = np.array([3.0, 2.6, 2.0, 1.0], dtype=np.float32)
    vectors = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 5.0], [0.0, 1.0]], dtype=np.float32)
    assert marginally_relevant(scores, vectors, 3, 0.5).tolist() == [0, 2, 1]
    assert marginally_relevant(scores, vectors, 3, 0.0).tolist() == [0, 1, 2]
    assert marginally_relevant(scores, vectors, 2, 1.0).tolist() == [0, 2]
    assert marginally_relevant(scores, vectors, 9, 0.5).tolist() == [0, 2, 1, 3]


def test_equal_scores_leave_only_likeness() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert marginally_relevant(np.ones(3, dtype=np.float32), vectors, 2, 0.3).tolist() == [0, 2]
