"""Bonuses one can work out by hand, in both ways of ranking."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import open_bundle
from service.inference.allowed import Allowed
from service.inference.cooccurrence import Bonus, Cooccurrence, Neighbours, neighbours_npz
from service.inference.recommender import Recommender

# Of three items: 1 is followed by 2 (4) and 3 (2), 2 by 3 (1), 3 by nothing.
NEIGHBOURS = Neighbours(
    np.array([0, 2, 3, 3]), np.array([2, 3, 3], dtype=np.int32), np.array([4.0, 2.0, 1.0], dtype=np.float32)
)


def test_the_newest_item_counts_most() -> None:
    """History 1, 2 at a decay of one half: 2 gives 3 one, 1 gives 2 and 3 half of theirs; all tenfold."""
    bonus = Cooccurrence(neighbours_npz(NEIGHBOURS), items=3, weight=10, decay=0.5).bonus([1, 2])
    assert bonus is not None
    assert (bonus.rows.tolist(), bonus.amounts.tolist()) == ([3, 2, 3], [10.0, 20.0, 10.0])


def test_no_weight_and_no_history_are_no_bonus() -> None:
    cooccurrence = Cooccurrence(neighbours_npz(NEIGHBOURS), items=3, weight=10, decay=0.5)
    assert cooccurrence.bonus([1], weight=0) is None
    assert cooccurrence.bonus([]) is None
    long = cooccurrence.bonus([1, *[3] * 30])
    assert long is not None
    assert long.rows.tolist() == [], "only the newest count"


def test_a_table_of_other_items_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold the neighbours of 4 items"):
        Cooccurrence(neighbours_npz(NEIGHBOURS), items=4, weight=1, decay=0.5)


@pytest.mark.parametrize("form", ["exact", "index"])
def test_a_bonus_is_added_to_the_score(tiny_bundle: Path, form: str) -> None:
    """[a] asks with (1, 0): f, the last with 0, gains .3 + .4 and comes after c, .8; hidden items gain nothing."""
    bundle = open_bundle(tiny_bundle)
    recommender = Recommender(bundle if form == "exact" else replace(bundle, topk=None))
    query = recommender.encode([[1]] * 4).query_vectors
    bonus = Bonus(np.array([6, 2, 6]), np.array([0.3, 0.05, 0.4], dtype=np.float32))
    allowed = [None, None, Allowed(np.array([True, False, True, True, True, True])), None]
    rankings = recommender.rank(query, 4, [set(), {6, 1}, set(), set()], allowed, [bonus, bonus, bonus, None])
    assert [ranking.rows.tolist() for ranking in rankings] == [[1, 2, 3, 6], [2, 3, 5, 4], [1, 3, 6, 5], [1, 2, 3, 5]]
    assert rankings[0].scores.tolist() == pytest.approx([1.0, 0.95, 0.8, 0.7])
