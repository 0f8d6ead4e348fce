"""The query of docs/experiments.md is what `Moments` takes."""

import re
from pathlib import Path

import duckdb
import numpy as np

from service.experiments.statistics.moments import Days, Moments, Part

PAGE = Path(__file__).parents[3] / "docs/experiments.md"
DAILY = """CREATE TABLE daily AS FROM (VALUES
    ('a', 'new', 'ann', 1, 2, 1), ('a', 'new', 'ann', 2, 3, 1), ('a', 'new', 'bob', 2, 1, 0),
    ('b', 'new', 'cid', 1, 4, 2)
) AS rows(variant, user_group, user_id, day, page_views, clicks)"""


def test_who_came_on_two_days_is_one_user() -> None:
    """Ann's views are 2 + 3: one user with 5, whose square is 25, beside Bob's 1."""
    with duckdb.connect() as connection:
        connection.execute(DAILY)
        rows = connection.execute(query(), {"first": 1, "last": 2}).fetchall()
    found = {
        variant: Moments(
            Days(1, 2),
            frozenset([Part(variant, group)]),
            ("page_views", "clicks"),
            users,
            np.array(sums, float),
            np.array(products, float),
        )
        for variant, group, users, sums, products in rows
    }
    expected = Moments.of_users({"page_views": [5, 1], "clicks": [2, 0]}, days=Days(1, 2), part=Part("a", "new"))
    assert (found["a"].users, found["a"].parts) == (2, expected.parts)
    assert found["a"].sums.tolist() == expected.sums.tolist() == [6, 2]
    assert found["a"].products.tolist() == expected.products.tolist() == [[26, 10], [10, 4]]
    assert found["b"].users == 1


def query() -> str:
    found = re.search(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)
