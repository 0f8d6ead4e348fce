"""Users, sums and cross products."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.experiments.statistics.moments import Days, Moments, Part, TooLittleDataError
from tests.service.experiments.simulated import of, table


def test_three_users_by_hand() -> None:
    """Totals 1, 2, 3 and 2, 4, 9: means 2 and 5, variances 1 and 13, covariance (1 * 3 + 0 + 1 * 4) / 2 = 3.5."""
    found = Moments.of_users({"clicks": [1, 2, 3], "page_views": [2, 4, 9]}, days=Days(1, 2), part=Part("a", "new"))
    assert found.users == 3
    assert found.means.tolist() == [2, 5]
    assert found.covariances.tolist() == [[1, 3.5], [3.5, 13]]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 499))
def test_parts_add_up_to_the_whole_in_any_order(seed: int, cut: int) -> None:
    """Users cut into two groups, or shuffled, have the moments of all; counts make the sums exact."""
    totals = table(seed)
    order = np.random.default_rng(seed).permutation(500)
    new, old = (
        {name: column[order][side] for name, column in totals.items()} for side in (slice(cut), slice(cut, None))
    )
    whole, added = of("a", totals), of("a", new, "new") + of("a", old, "low")
    assert added.users == whole.users
    assert added.parts == {Part("a", "new"), Part("a", "low")}
    assert added.sums.tolist() == whole.sums.tolist()
    assert added.products.tolist() == whole.products.tolist()


def test_days_never_add_up() -> None:
    """A user who came on both days would be two."""
    first = Moments.of_users({"clicks": [1, 0]}, days=Days(1, 1), part=Part("a", "new"))
    second = Moments.of_users({"clicks": [1, 3]}, days=Days(2, 2), part=Part("a", "low"))
    with pytest.raises(ValueError, match="Sum each user's events over all of the days first"):
        first + second


def test_nobody_is_counted_twice() -> None:
    """The same part on both sides holds the same users."""
    with pytest.raises(ValueError, match="counted twice"):
        of("a", table(1)) + of("a", table(2))


def test_what_does_not_fit_is_refused() -> None:
    """Other columns, wrong shapes, days in the wrong order, a column that is not there, too few users."""
    found = Moments.of_users({"clicks": [1]}, days=Days(1, 1), part=Part("a", "new"))
    with pytest.raises(ValueError, match="same columns"):
        found + Moments.of_users({"views": [1]}, days=Days(1, 1), part=Part("b", "new"))
    with pytest.raises(ValueError, match="1 columns, found sums"):
        Moments(found.days, found.parts, ("clicks",), 1, np.zeros(2), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="days in order"):
        Moments.of_users({"clicks": [1]}, days=Days(2, 1), part=Part("a", "new"))
    with pytest.raises(ValueError, match="no column 'views', found clicks"):
        found.place("views")
    with pytest.raises(TooLittleDataError, match="needs two users, found 1"):
        _ = found.covariances
