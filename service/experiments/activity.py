"""Users by how much is known of them: the five groups of ELCRec's online test."""

from bisect import bisect_left
from typing import Literal, get_args

UserGroup = Literal["pure_new", "new", "low", "medium", "high"]
GROUPS: tuple[UserGroup, ...] = get_args(UserGroup)
THRESHOLDS = (0, 5, 20, 50)  # stored events, at most, of all groups but the last


class Activity:
    """Thresholds between the groups."""

    def __init__(self, thresholds: tuple[int, ...] = THRESHOLDS) -> None:
        """The most stored events of each group but the last. Raises ValueError unless they are four and ascend."""
        if len(thresholds) != len(GROUPS) - 1 or list(thresholds) != sorted({*thresholds}) or thresholds[0] < 0:
            raise ValueError(f"wanted four ascending numbers of stored events from 0, found {thresholds}")
        self._thresholds = thresholds

    def group(self, stored_events: int) -> UserGroup:
        """The group of a user with so many stored events.

        >>> [Activity().group(events) for events in (0, 5, 6, 50, 51)]
        ['pure_new', 'new', 'low', 'medium', 'high']
        """
        return GROUPS[bisect_left(self._thresholds, stored_events)]
