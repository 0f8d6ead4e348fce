"""Sample ratio mismatch."""

from math import erfc, sqrt

import pytest

from service.experiments.statistics.sample_ratio import chi_square, sample_ratio

HALVES = {"control": 1.0, "treatment": 1.0}


def test_chi_square_by_hand() -> None:
    """5,100 and 4,900 of 10,000: 2 * 100^2 / 5,000 = 4, and P(|Z| > 2) = 0.0455; half of the traffic weighs half."""
    assert chi_square({"control": 5100, "treatment": 4900}, HALVES) == pytest.approx(erfc(sqrt(2)))
    thirds = {"control": 5, "treatment": 2.5, "other": 2.5}
    assert chi_square({"control": 5000, "treatment": 2500, "other": 2500}, thirds) == 1


def test_the_verdict_is_blocked_below_one_in_a_thousand() -> None:
    """z = 3.28 does not block, z = 3.30 does (3.2905 is 0.001); a variant without users is a mismatch."""
    assert not sample_ratio({"control": 5164, "treatment": 4836}, HALVES).blocks
    assert sample_ratio({"control": 5165, "treatment": 4835}, HALVES).blocks
    assert sample_ratio({"control": 20}, HALVES).blocks
    assert sample_ratio({}, HALVES).p_value == 1


def test_it_says_which_slice_is_off() -> None:
    """Day 2 lost a tenth of its treated users; the others are fair, and a slice of nine users is too small to say."""
    fair = {"control": 5000, "treatment": 5000}
    slices = {("day", str(day)): fair for day in range(1, 8)} | {
        ("day", "2"): {"control": 5000, "treatment": 4500},
        ("group", "new"): {"control": 9},
    }
    found = sample_ratio({"control": 35_000, "treatment": 34_500}, HALVES, slices)
    assert list(found.off) == [("day", "2")]
    assert found.off["day", "2"] == pytest.approx(7 * chi_square({"control": 5000, "treatment": 4500}, HALVES))


def test_many_fair_slices_raise_no_alarm() -> None:
    """p = 0.0009 in one of 100 slices is chance: Holm makes 0.09 of it."""
    odd = {"control": 5166, "treatment": 4834}
    assert chi_square(odd, HALVES) < 0.001
    slices = {("group", str(number)): {"control": 5000, "treatment": 5000} for number in range(99)}
    assert sample_ratio({"control": 1, "treatment": 1}, HALVES, slices | {("group", "odd"): odd}).off == {}


def test_users_of_a_variant_that_was_to_get_none_are_an_error() -> None:
    """So is a comparison of one variant with itself."""
    with pytest.raises(ValueError, match="two variants"):
        sample_ratio({"control": 1, "gone": 1}, HALVES)
    with pytest.raises(ValueError, match="two variants"):
        sample_ratio({"control": 1}, {"control": 1, "treatment": 0})
