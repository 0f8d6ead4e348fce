"""Metrics against values one can work out by hand."""

import doctest

import numpy as np
import pytest

from training import metrics
from training.metrics import composition, head_and_tail, head_length, ranks
from training.significance import paired_bootstrap


def test_the_examples_in_the_docstrings_hold() -> None:
    found = doctest.testmod(metrics)
    assert found.attempted >= 4
    assert found.failed == 0


def test_ranks_count_from_one_and_zero_means_missing() -> None:
    lists = np.array([[7, 3, 5], [7, 3, 5]])
    assert ranks(lists, np.array([3, 4])).tolist() == [2, 0]


def test_head_is_the_share_closest_to_a_fifth() -> None:
    """Of ten lengths, >= 9 keeps 2 (exactly a fifth)."""
    lengths = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert head_length(lengths) == 9
    parts = head_and_tail(np.array([0] * 8 + [1, 1]), lengths)
    assert (parts["head/HR@5"], parts["tail/HR@5"]) == (1.0, 0.0)


def test_composition_of_two_lists() -> None:
    """Items 1 and 2 of four are shown: coverage 1/2; their counts 10 and 20 average 15; zeros are empty places."""
    found = composition(np.array([[1, 2], [1, 2], [0, 0]]), np.array([10, 20, 30, 40]))
    assert found["coverage@20"] == 0.5
    assert found["mean_popularity@20"] == 15
    assert found["gini@20"] == pytest.approx(0.5)


def test_bootstrap_sees_a_real_difference_and_none_where_there_is_none() -> None:
    generator = np.random.default_rng(0)
    base = generator.random(2000)
    better = paired_bootstrap(base + 0.1 + 0.01 * generator.random(2000), base)
    assert better.low > 0.1
    assert better.p_value == 0
    same = paired_bootstrap(base, base)
    assert (same.difference, same.p_value) == (0.0, 1.0)
