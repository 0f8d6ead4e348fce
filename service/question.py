"""What the engine is asked and what it answers, whatever the request came as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.inference.ranker import Context
from service.inference.recommender import Ranking
from service.schemas import Condition, IntentWeight, Source

POOL = 100  # best-scored items, at least, of which a list that is not all of one kind is made
POOL_FACTOR = 5
FALLBACK: tuple[Source, ...] = ("popular_in_intent", "popular_in_category", "popular")


@dataclass(frozen=True)
class Question:
    """One request as the engine sees it."""

    history: Sequence[str]  # item ids, oldest first
    k: int = 20
    seen: Sequence[str] = ()  # not to be shown again
    exclude: Sequence[str] = ()
    allow: Sequence[str] | None = None
    filters: Mapping[str, Condition] = field(default_factory=dict)
    max_per_category: int | None = None
    diversity: float = 0.0
    blend: float | None = None  # weight of co-occurrence; None: the bundle's own
    intents: int = 0
    titles: bool = False
    reasons: bool = False
    last_intent: int | None = None  # known from an earlier answer
    category: str | None = None  # where to look without a history
    fallback: Sequence[Source] = FALLBACK  # in which order, then
    context: Context | None = None  # for a bundle with a ranker; None: the first stage alone answers

    @property
    def depth(self) -> int:
        """How many of the best-scored items have to be looked at."""
        return max(POOL, POOL_FACTOR * self.k) if self.varied else self.k

    @property
    def varied(self) -> bool:
        """Whether the best-scored items are not the list yet."""
        return self.diversity > 0 or self.max_per_category is not None


@dataclass(frozen=True)
class Why:
    """What speaks for an item: an intent, and item ids of the history, the most alike first."""

    intent_id: int
    because: list[str]


@dataclass(frozen=True)
class Answer:
    """The engine's part of an answer."""

    ranking: Ranking
    source: Source
    intents: list[IntentWeight] = field(default_factory=list)
    unknown_items: list[str] = field(default_factory=list)
    available: int | None = None  # given when fewer than k were possible
    titles: bool = False
    reasons: list[Why] | None = None  # one an item
    intent: int | None = None  # the strongest, where the model answered
