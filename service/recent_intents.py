"""How the latest answers are spread over the intents."""

from collections import Counter, deque
from collections.abc import Collection
from math import log

ANSWERS = 1000


class RecentIntents:
    """The strongest intents of a worker's last answers by the model."""

    def __init__(self, answers: int = ANSWERS) -> None:
        self._latest: deque[tuple[str, int]] = deque(maxlen=answers)

    def note(self, bundle_id: str, intent_id: int) -> None:
        """An intent means something only together with its bundle."""
        self._latest.append((bundle_id, intent_id))

    def counts(self, bundle_id: str) -> list[int]:
        """Answers of each intent of that bundle that had one, the most frequent first."""
        found = Counter(intent_id for its, intent_id in self._latest if its == bundle_id)
        return sorted(found.values(), reverse=True)


def entropy(counts: Collection[int]) -> float:
    """-sum p ln p: 0 where all answers share one intent, ln K where K are even."""
    answers = sum(counts)
    return sum(count * log(answers / count) for count in counts) / max(answers, 1)
