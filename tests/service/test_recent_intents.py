"""How evenly answers are spread over the intents."""

from math import log

import pytest

from service.recent_intents import RecentIntents


def test_the_entropy_of_even_intents_is_the_logarithm_of_their_number() -> None:
    """No answers: 0; one intent: 0; two even: ln 2; 3 to 1: 1/4 ln 4 + 3/4 ln 4/3."""
    recent = RecentIntents()
    assert recent.entropy("b") == 0
    recent.note("b", 7)
    assert recent.entropy("b") == 0
    recent.note("b", 8)
    assert recent.entropy("b") == pytest.approx(log(2))
    for _ in range(2):
        recent.note("b", 7)
    assert recent.entropy("b") == pytest.approx(log(4) / 4 + 0.75 * log(4 / 3))
    recent.note("another bundle", 1)
    assert recent.entropy("another bundle") == 0


def test_only_the_latest_answers_count() -> None:
    recent = RecentIntents(answers=2)
    for intent_id in (1, 2, 3, 3):
        recent.note("b", intent_id)
    assert recent.entropy("b") == 0
