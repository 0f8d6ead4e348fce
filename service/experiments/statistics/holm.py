"""Holm: many tests, one error rate."""

from collections.abc import Hashable, Mapping
from itertools import accumulate
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Adjusted p-values: all that are <= alpha are rejected together with a family-wise error of alpha.

    Holm (1979). The i-th smallest of m is multiplied by m - i + 1, and none may be smaller than one before it.
    Needs no independence. Keys are metrics, segments, or pairs of them.
    """
    ordered = sorted(p_values, key=lambda key: p_values[key])
    grown = (min(1.0, (len(ordered) - place) * p_values[key]) for place, key in enumerate(ordered))
    adjusted = dict(zip(ordered, accumulate(grown, max), strict=True))
    return {key: adjusted[key] for key in p_values}
