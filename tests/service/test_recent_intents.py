"""How answers are spread over the intents."""

from math import log

import pytest

from service.recent_intents import RecentIntents, entropy


def test_the_entropy_of_even_intents_is_the_logarithm_of_their_number() -> None:
    """No answers: 0; one intent: 0; two even: ln 2; 3 to 1: 1/4 ln 4 + 3/4 ln 4/3."""
    assert entropy([]) == 0
    assert entropy([5]) == 0
    assert entropy([1, 1]) == pytest.approx(log(2))
    assert entropy([3, 1]) == pytest.approx(log(4) / 4 + 0.75 * log(4 / 3))


def test_answers_are_counted_by_intent_of_one_bundle() -> None:
    """The most frequent intent first, whatever its number; another bundle's intents are others."""
    recent = RecentIntents()
    assert recent.counts("b") == []
    for intent_id in (7, 8, 8, 8, 7, 1):
        recent.note("b", intent_id)
    recent.note("another bundle", 1)
    assert recent.counts("b") == [3, 2, 1]
    assert recent.counts("another bundle") == [1]


def test_only_the_latest_answers_count() -> None:
    recent = RecentIntents(answers=2)
    for intent_id in (1, 2, 3, 3):
        recent.note("b", intent_id)
    assert recent.counts("b") == [2]
