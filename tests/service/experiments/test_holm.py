"""Holm's correction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiments.statistics.holm import holm

P_VALUES = st.dictionaries(st.text(), st.floats(0, 1))


def test_four_p_values_by_hand() -> None:
    """0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1, which may not fall below 0.06; keys keep their order."""
    found = holm({("pvctr", "new"): 0.01, ("vv", "new"): 0.04, ("vv", "all"): 0.03, ("pvctr", "all"): 0.005})
    assert list(found) == [("pvctr", "new"), ("vv", "new"), ("vv", "all"), ("pvctr", "all")]
    assert list(found.values()) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm({}) == {}


@given(P_VALUES)
def test_between_nothing_and_bonferroni(p_values: dict[str, float]) -> None:
    """Never below the p-value, never above Bonferroni's, in the same order."""
    found = holm(p_values)
    for name, p_value in p_values.items():
        assert p_value <= found[name] <= min(1, len(p_values) * p_value)
    ordered = sorted(p_values, key=lambda name: p_values[name])
    assert [found[name] for name in ordered] == sorted(found.values())
