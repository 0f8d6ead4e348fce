"""One bundle at work: external ids in, external ids out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from service.bundle.files import Bundle, open_bundle
from service.catalogue import Catalogue
from service.errors import UnknownFilterError, UnknownIntentError, UnknownItemError
from service.fallback import PopularItems
from service.inference.allowed import Allowed
from service.inference.encoder import Encoding
from service.inference.recommender import Ranking, Recommender
from service.inference.retrieval import set_threads
from service.schemas import Condition, IntentWeight, RankedItem, Source
from service.telemetry import Stages


@dataclass(frozen=True)
class Question:
    """One request as the engine sees it."""

    history: Sequence[str]  # item ids, oldest first
    k: int = 20
    seen: Sequence[str] = ()  # not to be shown again
    exclude: Sequence[str] = ()
    allow: Sequence[str] | None = None
    filters: Mapping[str, Condition] = field(default_factory=dict)
    intents: int = 0
    titles: bool = False


@dataclass(frozen=True)
class Answer:
    """The engine's part of an answer."""

    ranking: Ranking
    source: Source
    intents: list[IntentWeight] = field(default_factory=list)
    unknown_items: list[str] = field(default_factory=list)
    available: int | None = None  # given when fewer than k were possible
    titles: bool = False


class Engine:
    """Thread-safe: after construction nothing changes but, at once, which items are available."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        """Raise ValueError when the bundle's parts do not fit each other."""
        self.bundle_id = bundle.bundle_id
        self.manifest = bundle.manifest
        self.vocabulary = bundle.vocabulary
        self.items = bundle.items
        self.catalogue = Catalogue(bundle.items)
        self.intents = bundle.intents
        self._threads = threads
        self._recommender = Recommender(bundle, threads=threads)
        self._popular = PopularItems(bundle.popularity)
        self.bundle_id_json = orjson.dumps(bundle.bundle_id)
        self.item_json = [b'{"item_id":' + orjson.dumps(item.item_id) + b',"score":' for item in bundle.items]

    @classmethod
    def load(cls, path: Path, *, threads: int = 1) -> "Engine":
        """Open, check and warm up. Raises BundleError, ValueError."""
        engine = cls(open_bundle(path), threads=threads)
        engine.recommend([Question(history=[engine.vocabulary.item_id(1)])], Stages())
        return engine

    def hide(self, item_ids: Iterable[str]) -> None:
        """These items are not available, all others are."""
        self.catalogue.hide(self.vocabulary.known_rows(item_ids))

    def check_filters(self, filters: Mapping[str, Condition]) -> None:
        """Raises UnknownFilterError for a column that no item has."""
        for column in filters:
            if column not in self.catalogue.columns:
                raise UnknownFilterError(column, self.catalogue.columns)

    def recommend(self, questions: Sequence[Question], stages: Stages) -> list[Answer]:
        """One encoder call and one search for all questions that have a known item in their history."""
        known = [self.vocabulary.split_known(question.history) for question in questions]
        asked = [place for place, (rows, _) in enumerate(known) if rows]
        answers: dict[int, Answer] = {}
        if asked:
            with stages.measure("encode"):
                encoding = self._recommender.encode([known[place][0] for place in asked])
            with stages.measure("search"):
                rankings = self._rank([questions[place] for place in asked], encoding)
            for number, place in enumerate(asked):
                weights = self._strongest(encoding, number, questions[place].intents)
                answers[place] = self._answer(questions[place], rankings[number], "model", weights, known[place][1])
        for place, question in enumerate(questions):
            if place not in answers:
                ranking = self._popular.rank(question.k, self._excluded(question), self._allowed(question))
                answers[place] = self._answer(question, ranking, "popular", [], known[place][1])
        return [answers[place] for place in range(len(questions))]

    def strongest_intents(self, history: Sequence[str], top: int) -> tuple[list[IntentWeight], list[str]]:
        """The strongest intents of a history and its unknown items; no intents when nothing is known."""
        rows, unknown = self.vocabulary.split_known(history)
        if not rows:
            return [], unknown
        return self._strongest(self._recommender.encode([rows]), 0, top), unknown

    def similar(self, item_id: str, k: int) -> list[RankedItem]:
        """Items whose vectors point the same way. Raises UnknownItemError."""
        row = self.vocabulary.row(item_id)
        if row is None:
            raise UnknownItemError(item_id)
        return self._items(self._ready_recommender().similar(row, k, self.catalogue.allowed({})))

    def intent_items(self, intent_id: int, k: int) -> list[RankedItem]:
        """Items nearest to a prototype. Raises UnknownIntentError."""
        self._check_intent(intent_id)
        return self._items(self._ready_recommender().intent_items(intent_id, k, self.catalogue.allowed({})))

    def intent_neighbours(self, intent_id: int, k: int) -> list[IntentWeight]:
        """The intents nearest to one, with their inner product. Raises UnknownIntentError."""
        self._check_intent(intent_id)
        ranking = self._ready_recommender().intent_neighbours(intent_id, k)
        return [
            IntentWeight(intent_id=int(row), weight=float(score))
            for row, score in zip(ranking.rows, ranking.scores, strict=True)
        ]

    def _ready_recommender(self) -> Recommender:
        """OpenMP keeps the number of FAISS's threads per calling thread, so whoever searches has to say it."""
        set_threads(self._threads)
        return self._recommender

    def _rank(self, questions: Sequence[Question], encoding: Encoding) -> list[Ranking]:
        """One ranking of the catalogue for all questions, as long as the longest asks for."""
        excluded = [self._excluded(question) for question in questions]
        allowed = [self._allowed(question) for question in questions]
        depth = max(question.k for question in questions)
        return self._ready_recommender().rank(encoding.query_vectors, depth, excluded, allowed)

    def _excluded(self, question: Question) -> set[int]:
        return self.vocabulary.known_rows((*question.seen, *question.exclude))

    def _allowed(self, question: Question) -> Allowed | None:
        """The same object for the same filters, so that a batch holds each only once."""
        chosen = self.catalogue.allowed(question.filters)
        if question.allow is None:
            return chosen
        listed = np.zeros(len(self.items), dtype=np.bool_)
        listed[np.array(list(self.vocabulary.known_rows(question.allow)), dtype=np.int64) - 1] = True
        return Allowed(listed if chosen is None else listed & chosen.mask)

    def _answer(
        self, question: Question, ranking: Ranking, source: Source, intents: list[IntentWeight], unknown: list[str]
    ) -> Answer:
        shown = Ranking(ranking.rows[: question.k], ranking.scores[: question.k])
        available = len(shown.rows) if len(shown.rows) < question.k else None
        return Answer(shown, source, intents, unknown, available, question.titles)

    def _items(self, ranking: Ranking) -> list[RankedItem]:
        return [
            RankedItem(item_id=self.vocabulary.item_id(row), score=score, title=self.items[row - 1].title)
            for row, score in zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True)
        ]

    @staticmethod
    def _strongest(encoding: Encoding, number: int, top: int) -> list[IntentWeight]:
        if top == 0:
            return []
        weights = encoding.intent_weights[number]
        order = np.argsort(-weights, kind="stable")[:top]
        return [IntentWeight(intent_id=int(intent), weight=float(weights[intent])) for intent in order]

    def _check_intent(self, intent_id: int) -> None:
        if not 0 <= intent_id < self.manifest.intents.count:
            raise UnknownIntentError(intent_id, self.manifest.intents.count)
