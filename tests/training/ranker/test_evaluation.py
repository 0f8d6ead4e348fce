"""AUCs by hand."""

import numpy as np
import pytest

from training.ranker.evaluation import Shown, list_auc, measured, shares


def shown(clicked: list[int], owners: list[int], seen: list[float] | None = None) -> Shown:
    count = len(clicked)
    return Shown(
        owners=np.array(owners),
        groups=np.array(["new"] * count),
        clicked=np.array(clicked, dtype=np.float64),
        converted=np.zeros(count),
        seen=np.array(seen or [1.0] * count),
    )


def test_a_click_counts_the_share_of_its_list_that_is_below_it() -> None:
    """The first list's click is above one of two, the second's above its only neighbour: (1/2 + 1) / 2."""
    its = shown([1, 0, 0, 0, 1], [0, 0, 0, 1, 1])
    assert list_auc(np.array([2.0, 1.0, 3.0, 1.0, 2.0]), its) == pytest.approx(0.75)


def test_ties_count_half() -> None:
    assert list_auc(np.ones(3), shown([0, 1, 0], [0, 0, 0])) == pytest.approx(0.5)


def test_a_click_where_nobody_looks_counts_more() -> None:
    """Shares 0 and 1; the second was looked at a quarter as often: 4 / (1 + 4)."""
    its = shown([1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 0.25, 1])
    assert list_auc(np.array([1.0, 2.0, 2.0, 1.0]), its) == pytest.approx(0.8)


def test_so_it_does_over_all_lists_together() -> None:
    """A click above the unclicked item counts 1, one below it that was looked at a quarter as often counts 4: 1 / 5."""
    its = shown([1, 0, 1], [0, 0, 1], [1, 1, 0.25])
    scores = np.array([3.0, 2.0, 1.0])
    assert measured(its, scores, scores, scores)["all"]["CTR AUC"] == pytest.approx(0.2)


def test_a_list_of_one_and_a_list_without_clicks_say_nothing() -> None:
    assert list_auc(np.ones(3), shown([1, 0, 0], [0, 1, 1])) is None


def test_every_group_is_measured_beside_the_first_stage() -> None:
    """The ranker puts the click first, the first stage last; nothing converts, so there is no CVR AUC."""
    found = measured(shown([0, 1], [0, 0]), np.array([2.0, 1.0]), np.array([0.1, 0.2]), np.array([0.5, 0.5]))
    assert list(found) == ["all", "new"]
    assert found["new"] == {
        "lists": 1,
        "clicks": 1.0,
        "conversions": 0.0,
        "CTR AUC": 1.0,
        "list AUC": 1.0,
        "first stage/CTR AUC": 0.0,
        "first stage/list AUC": 0.0,
    }


def test_shares_of_a_group_over_the_clusters() -> None:
    found = shares(np.array(["new", "new", "high"]), np.array([0, 2, 2]), 3)
    assert found == {"high": [0, 0, 1], "new": [0.5, 0, 0.5]}
