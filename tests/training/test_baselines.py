"""What needs no learning ranks as its formula says."""

import numpy as np

from tests.training.conftest import sequences
from training.baselines import cooccurrence, popularity
from training.sequences import Split

TRAINING = sequences([3, 1], [3, 2], [3, 1, 4])
SPLIT = Split("test", np.arange(2), sequences([3], [4, 1]), np.array([2, 2]))


def test_popularity_is_by_count_without_the_history() -> None:
    first, second = popularity(TRAINING, 5, SPLIT)
    assert (first[0], set(first[1:3]), first[3:5].tolist()) == (1, {2, 4}, [5, 0]), (
        "5 was never seen; there is no sixth"
    )
    assert second[:4].tolist() == [3, 2, 5, 0]


def test_ties_know_nothing_of_what_is_held_out() -> None:
    """Rows are numbered by the whole log: of 40 items seen once each, the first 20 are those of the test split."""
    training = sequences(list(range(1, 41)))
    split = Split("test", np.arange(1), sequences([40]), np.array([1]))
    found = popularity(training, 40, split)[0]
    assert 5 < sum(found <= 20) < 15
    assert (found == popularity(training, 40, split)[0]).all()


def test_cooccurrence_prefers_what_followed_closest() -> None:
    """After 3 came 1 twice (2 / (3^.5 2^.2)) and 2 once (1 / 3^.5); 4 came once and two places later."""
    first, second = cooccurrence(TRAINING, 5, SPLIT)
    assert first[:3].tolist() == [1, 2, 4]
    assert second[0] == 3, "the only one that occurs beside 1 and 4"
