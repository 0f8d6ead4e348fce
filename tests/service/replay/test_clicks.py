"""How simulated users react, with values one can work out by hand."""

import pytest

from service.replay.chances import Chances, chances
from service.replay.clicks import ClickModel
from service.replay.truth import expected


def test_a_worse_rank_is_looked_at_less_often() -> None:
    """With a bias of 1 rank 4 is looked at by a quarter, with 1/2 by a half; what is not shown is not clicked."""
    assert ClickModel().chance(4, None) == 0.25
    assert ClickModel(position_bias=0.5).chance(4, None) == 0.5
    assert ClickModel(click=0.5).chance(2, None) == 0.25
    assert ClickModel().chance(None, None) == 0


def test_an_uplift_is_of_its_variants_lists_alone() -> None:
    model = ClickModel(click=0.5, uplift={"new": 0.2})
    assert model.chance(1, "new") == pytest.approx(0.6)
    assert model.chance(1, "old") == model.chance(1, None) == 0.5


def test_the_same_user_clicks_at_every_better_rank_too() -> None:
    """So that variants differ by their lists alone. A conversion needs a click."""
    model = ClickModel(conversion=0.5)
    drawn = Chances(arrival=0.0, click=0.3, conversion=0.4)
    assert [model.outcomes(rank, None, drawn) for rank in (1, 3, 4, None)] == [["click", "conversion"]] * 2 + [[], []]
    assert model.outcomes(1, None, drawn._replace(conversion=0.5)) == ["click"]


def test_clicks_come_as_often_as_the_model_says() -> None:
    """10,000 users at rank 4: 2,500 clicks of which a tenth converts, within five standard deviations (43 and 15)."""
    outcomes = [ClickModel().outcomes(4, None, chances(1, f"u{number}", 0)) for number in range(10_000)]
    assert sum("click" in its for its in outcomes) == pytest.approx(2500, abs=217)
    assert sum("conversion" in its for its in outcomes) == pytest.approx(250, abs=78)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"position_bias": -1.0}, "position_bias must be 0 or more, found -1"),
        ({"click": 1.5}, "the chance of a click must lie between 0 and 1, found 1.5"),
        ({"uplift": {"new": 0.1}}, "the chance of a click with the uplift of new must lie between 0 and 1, found 1.1"),
    ],
)
def test_chances_that_are_none_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ClickModel(**wrong)


def test_what_is_expected_of_a_user_adds_up_by_hand() -> None:
    """Ranks 1, 2 and nowhere, half the time wanted: 1/2 + 1/4 clicks; none at all with 1/2 * 3/4."""
    found = expected(ClickModel(click=0.5, conversion=0.2), "any", [1, 2, None])
    assert found == {
        "users": 1,
        "page_views": 3,
        "clicks": 0.75,
        "any_clicks": pytest.approx(1 - 0.5 * 0.75),
        "conversions": pytest.approx(0.15),
        "any_conversions": pytest.approx(1 - 0.9 * 0.95),
    }
