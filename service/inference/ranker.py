"""The second stage: the first stage's best candidates, ranked anew by the chance of a click and of a conversion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, log1p, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.bundle.files import Bundle
from service.bundle.inputs import Rows
from service.bundle.manifest import SecondStage
from service.inference.device import Device
from service.inference.encoder import Floats
from service.inference.recommender import Ranking, Recommender
from service.inference.session import open_session

INPUTS = ("context", "intent_weights", "owners", "item_vectors", "facts")
OUTPUTS = ("click", "conversion")
FACTS = 3  # of a candidate
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Context:
    """What is known of a request beside its history."""

    stored_events: int
    attributes: Mapping[str, Any]
    timestamp: float  # Unix seconds


def context_width(its: SecondStage) -> int:
    """C, the length of what `context_vector` makes."""
    return len(its.activity_thresholds) + 4 + sum(len(values) + 1 for values in its.attributes.values())


def context_vector(context: Context, its: SecondStage) -> list[float]:
    """(C): activity (logarithm, one place a user group), hour of the day (UTC), one place a value of each attribute.

    An attribute's last place is for values that training did not tell apart; one that is absent has all places 0.
    """
    groups = [0.0] * (len(its.activity_thresholds) + 1)
    groups[sum(context.stored_events > most for most in its.activity_thresholds)] = 1.0
    angle = 2 * pi * (context.timestamp % DAY) / DAY
    vector = [log1p(context.stored_events), *groups, sin(angle), cos(angle)]
    for name, values in its.attributes.items():
        places = [0.0] * (len(values) + 1)
        if name in context.attributes:
            found = str(context.attributes[name])
            places[values.index(found) if found in values else -1] = 1.0
        vector += places
    return vector


def facts(scores: Floats, popularity: NDArray[np.int64], matches: Floats) -> Floats:
    """First-stage scores, training interactions and intent matches of candidates, (N) each -> (N, FACTS)."""
    return np.stack([scores, np.log1p(popularity), matches], axis=1).astype(np.float32)


class Ranker:
    """`ranker.onnx`. Thread-safe."""

    def __init__(self, bundle: Bundle, recommender: Recommender, *, threads: int = 1, device: Device = "cpu") -> None:
        """Raise ValueError when the bundle has none, or when it does not fit the bundle's other parts."""
        if bundle.ranker is None or bundle.manifest.ranker is None:
            raise ValueError(f"{bundle.bundle_id} holds no ranker: make a bundle that does with intently-train ranker")
        self._its = bundle.manifest.ranker
        self._session = open_session(bundle.ranker, threads=threads, device=device)
        found = {one.name: one.shape[-1] for one in self._session.get_inputs()}
        wanted = {"context": context_width(self._its), "intent_weights": bundle.manifest.intents.count}
        wanted |= {"item_vectors": bundle.manifest.dimensions, "facts": FACTS}
        if tuple(found) != INPUTS or found | wanted != found:
            raise ValueError(f"{bundle.bundle_id}: ranker.onnx should take {INPUTS} with {wanted}, takes {found}")
        self._items = recommender.items
        self._reasons = recommender.reasons
        self._popularity = bundle.popularity

    @property
    def candidates(self) -> int:
        """How many of the first stage's best are ranked anew, at least."""
        return self._its.candidates

    def rank(self, contexts: Sequence[Context], intent_weights: Floats, rankings: Sequence[Ranking]) -> list[Ranking]:
        """The same B lists in another order; the score is p(click) + conversion_value x p(conversion).

        Intent weights (B, K) are zero for who has no known history; the scores of such a list are not looked at.
        """
        if not any(len(ranking.rows) for ranking in rankings):
            return list(rankings)
        ends = np.cumsum([len(ranking.rows) for ranking in rankings])
        click, conversion = self.chances(contexts, intent_weights, rankings)
        values = np.split(click + self._its.conversion_value * conversion, ends[:-1])
        return [_sorted(ranking.rows, own) for ranking, own in zip(rankings, values, strict=True)]

    def chances(
        self, contexts: Sequence[Context], intent_weights: Floats, rankings: Sequence[Ranking]
    ) -> tuple[Floats, Floats]:
        """Of all candidates end to end (N): p(click) and p(click and conversion), as if each were looked at."""
        rows = np.concatenate([ranking.rows for ranking in rankings])
        scores = np.concatenate([ranking.scores for ranking in rankings])
        owners = np.repeat(np.arange(len(rankings)), [len(ranking.rows) for ranking in rankings])
        matches = self._reasons.matches(intent_weights, owners, rows)
        inputs = {
            "context": np.array([context_vector(one, self._its) for one in contexts], dtype=np.float32),
            "intent_weights": intent_weights,
            "owners": owners,
            "item_vectors": self._items.vectors_of(rows),
            "facts": facts(scores, self._popularity[rows - 1], matches),
        }
        click, conversion = self._session.run(OUTPUTS, inputs)
        return click, conversion


def _sorted(rows: Rows, values: Floats) -> Ranking:
    """Best first, exact ties by item row."""
    order = np.lexsort((rows, -values))
    return Ranking(rows[order], values[order])
