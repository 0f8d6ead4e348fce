"""Sample ratio: did every variant get the users it was to get?"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.experiments.statistics.distributions import chi_square_beyond
from service.experiments.statistics.holm import holm

BLOCKING = 0.001
LEAST_EXPECTED = 5  # users, for the chi-square approximation

Slice = tuple[str, str]  # what it is cut by, and which piece: ("day", "3"), ("group", "new"), ("source", "model")


@dataclass(frozen=True)
class SampleRatio:
    """p_value: of all users. off: the slices that do not fit, by their Holm-corrected p-value, the worst first."""

    p_value: float
    off: dict[Slice, float]

    @property
    def blocks(self) -> bool:
        """No metric may be believed: the variants' users are not alike."""
        return self.p_value < BLOCKING


def sample_ratio(
    users: Mapping[str, int],
    weights: Mapping[str, float],
    slices: Mapping[Slice, Mapping[str, int]] | None = None,
) -> SampleRatio:
    """Users by variant, the traffic each was to get, and the same users cut into slices.

    A user counts once in each cut: on the day and with the group and source of the FIRST exposure. Slices that expect
    too few users are left out.
    """
    tested = {name: chi_square(counts, weights) for name, counts in (slices or {}).items() if _enough(counts, weights)}
    off = {name: p_value for name, p_value in holm(tested).items() if p_value < BLOCKING}
    return SampleRatio(chi_square(users, weights), dict(sorted(off.items(), key=lambda item: item[1])))


def chi_square(users: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """Pearson's test of the counts against the weights; 1 while there are no users."""
    expected = _expected(users, weights)
    if not any(expected.values()):
        return 1.0
    distance = sum((users.get(name, 0) - wanted) ** 2 / wanted for name, wanted in expected.items())
    return chi_square_beyond(distance, len(expected) - 1)


def _expected(users: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, float]:
    """Raises ValueError for users of a variant that was to get none, or for a single variant."""
    wanted = {name: weight for name, weight in weights.items() if weight > 0}
    if len(wanted) < 2 or set(users) - set(wanted):
        raise ValueError(f"wanted two variants with weights above 0 and users of them, found {dict(weights)}, {users}")
    total = sum(users.values()) / sum(wanted.values())
    return {name: weight * total for name, weight in wanted.items()}


def _enough(users: Mapping[str, int], weights: Mapping[str, float]) -> bool:
    return min(_expected(users, weights).values()) >= LEAST_EXPECTED
