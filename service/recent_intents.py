"""How evenly the latest answers are spread over the intents."""

from collections import Counter, deque
from math import log

ANSWERS = 1000


class RecentIntents:
    """The strongest intents of a worker's last answers by the model."""

    def __init__(self, answers: int = ANSWERS) -> None:
        self._latest: deque[tuple[str, int]] = deque(maxlen=answers)

    def note(self, bundle_id: str, intent_id: int) -> None:
        """An intent means something only together with its bundle."""
        self._latest.append((bundle_id, intent_id))

    def entropy(self, bundle_id: str) -> float:
        """-sum p ln p over the intents of that bundle: 0 where all answers share one, ln K where K are even."""
        counts = Counter(intent_id for its, intent_id in self._latest if its == bundle_id).values()
        answers = sum(counts)
        return sum(count * log(answers / count) for count in counts) / max(answers, 1)
