"""One bundle at work: external ids in, external ids out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import orjson

from service.bundle.files import Bundle, open_bundle
from service.bundle.pacing import gently
from service.catalogue import CATEGORY, Catalogue
from service.choosing import choose
from service.errors import NoBlendError, UnknownFilterError, UnknownIntentError, UnknownItemError
from service.fallback import PopularItems
from service.inference.allowed import Allowed
from service.inference.cooccurrence import Bonus
from service.inference.device import Device
from service.inference.encoder import Encoding, Floats
from service.inference.ranker import Context, Ranker
from service.inference.recommender import Ranking, Recommender
from service.inference.retrieval import set_threads
from service.question import Answer, Question, Why
from service.schemas import Condition, IntentWeight, RankedItem, Source
from service.telemetry import Stages

NEAREST = 2  # items of the history named as reasons


class Engine:
    """Thread-safe: after construction nothing changes but, at once, which items are available."""

    def __init__(self, bundle: Bundle, *, threads: int = 1, device: Device = "cpu") -> None:
        """Raise ValueError when the bundle's parts do not fit each other."""
        self.bundle_id = bundle.bundle_id
        self.manifest = bundle.manifest
        self.vocabulary = bundle.vocabulary
        self.catalogue = Catalogue(bundle.items)
        self.intents = bundle.intents
        self.created = datetime.fromisoformat(bundle.manifest.created).timestamp()
        self._threads = threads
        self._recommender = Recommender(bundle, threads=threads, device=device)
        self._ranker: Ranker | None = None
        if bundle.ranker is not None:
            self._ranker = Ranker(bundle, self._recommender, threads=threads, device=device)
        self._candidates = 0 if self._ranker is None else self._ranker.candidates
        self._popular = PopularItems(bundle.popularity)
        self._item_intents = self._recommender.reasons.intents_of_all()  # (V)
        self.bundle_id_json = orjson.dumps(bundle.bundle_id)
        self.item_json = [b'{"item_id":' + orjson.dumps(item.item_id) + b',"score":' for item in gently(bundle.items)]

    @classmethod
    def load(cls, path: Path, *, threads: int = 1, device: Device = "cpu") -> "Engine":
        """Open, check and warm up. Raises BundleError, ValueError."""
        engine = cls(open_bundle(path), threads=threads, device=device)
        context = Context(1, {}, 0.0) if engine.reranks else None
        engine.recommend([Question(history=[engine.vocabulary.item_id(1)], context=context)], Stages(observed=False))
        return engine

    @property
    def reranks(self) -> bool:
        """Whether questions should come with a context."""
        return self._ranker is not None

    def hide(self, item_ids: Iterable[str]) -> None:
        """These items are not available, all others are."""
        self.catalogue.hide(self.vocabulary.known_rows(item_ids))

    def check(self, filters: Mapping[str, Condition], blend: float | None) -> None:
        """Raises UnknownFilterError for a column that no item has, NoBlendError where there is nothing to blend."""
        for column in filters:
            if column not in self.catalogue.columns:
                raise UnknownFilterError(column, self.catalogue.columns)
        if blend and self._recommender.cooccurrence is None:
            raise NoBlendError

    def knows(self, filters: Mapping[str, Condition]) -> bool:
        """Whether `check` finds nothing wrong with them."""
        return all(column in self.catalogue.columns for column in filters)

    def recommend(self, questions: Sequence[Question], stages: Stages) -> list[Answer]:
        """One encoder call and one search for all questions that have a known item in their history."""
        known = [self.vocabulary.split_known(question.history) for question in questions]
        asked = [place for place, (rows, _) in enumerate(known) if rows]
        answers: dict[int, Answer] = {}
        if asked:
            found = self._by_model([questions[place] for place in asked], [known[place] for place in asked], stages)
            answers = dict(zip(asked, found, strict=True))
        for place, question in enumerate(questions):
            if place not in answers:
                answers[place] = self._by_popularity(question, known[place][1])
        return [answers[place] for place in range(len(questions))]

    def _by_model(
        self, questions: Sequence[Question], histories: Sequence[tuple[list[int], list[str]]], stages: Stages
    ) -> list[Answer]:
        with stages.measure("encode"):
            encoding = self._recommender.encode([rows for rows, _ in histories])
        with stages.measure("search"):
            bonuses = self._bonuses(questions, [rows for rows, _ in histories])
            rankings = self._rank(questions, encoding, bonuses)
        assigned = encoding.intent_weights.argmax(axis=1).tolist()
        answers = []
        for number, (question, (rows, unknown)) in enumerate(zip(questions, histories, strict=True)):
            weights = encoding.intent_weights[number]
            shown = rankings[number]
            reasons = self._reasons(weights, rows, shown) if question.reasons else None
            strongest = _strongest(weights, question.intents)
            answers.append(_answer(question, shown, "model", strongest, unknown, reasons, assigned[number]))
        return answers

    def _by_popularity(self, question: Question, unknown: list[str]) -> Answer:
        """Popular items: first those of the intent last known, or of the category, if there are any to show."""
        excluded, allowed = self._excluded(question), self._allowed(question)

        def ranked(first: Allowed | None, depth: int) -> Ranking:
            if self._ranker is None or first is not None:  # the places that were preferred stay in front
                return self._popular.rank(depth, excluded, allowed, first)
            found = self._popular.rank(max(depth, self._candidates), excluded, allowed)
            nothing = np.zeros((1, self.manifest.intents.count), dtype=np.float32)
            return self._ranked_anew([question], nothing, [found], depth)[0].first(depth)

        source, first = next(
            (source, first)
            for source, first in self._preferred(question)
            if first is None or len(self._popular.rank(1, excluded, first.within(allowed)).rows)
        )
        shown = self._chosen(question, ranked(first, question.depth), partial(ranked, first))
        return _answer(question, shown, source, [], unknown)

    def _preferred(self, question: Question) -> Iterator[tuple[Source, Allowed | None]]:
        """Where to look for popular items, the best place first, and at last everywhere."""
        for source in question.fallback:
            if source == "popular_in_intent" and question.last_intent is not None:
                yield source, Allowed(self._item_intents == question.last_intent)
            elif source == "popular_in_category" and question.category is not None:
                if found := self.catalogue.allowed({CATEGORY: question.category}):
                    yield source, found
            elif source == "popular":
                break
        yield "popular", None

    def strongest_intents(self, history: Sequence[str], top: int) -> tuple[list[IntentWeight], list[str]]:
        """The strongest intents of a history and its unknown items; no intents when nothing is known."""
        rows, unknown = self.vocabulary.split_known(history)
        if not rows:
            return [], unknown
        return _strongest(self._recommender.encode([rows]).intent_weights[0], top), unknown

    def weigh(self, histories: Iterable[Sequence[str]]) -> Floats:
        """Intent weights (N, K) of the N histories of which an item is known."""
        rows = [rows for history in histories if (rows := self.vocabulary.split_known(history)[0])]
        if not rows:
            return np.zeros((0, self.manifest.intents.count), dtype=np.float32)
        return self._recommender.encode(rows).intent_weights

    def prototypes(self) -> Floats:
        """The vectors (K, D) of the intents."""
        return self._recommender.intents.vectors()

    def titles(self, item_ids: Iterable[str]) -> dict[str, str]:
        """Of the items that have one."""
        known = {item_id: self.vocabulary.row(item_id) for item_id in item_ids}
        found = {item_id: self.catalogue.title(row) for item_id, row in known.items() if row is not None}
        return {item_id: title for item_id, title in found.items() if title is not None}

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

    def _bonuses(self, questions: Sequence[Question], histories: Sequence[list[int]]) -> list[Bonus | None]:
        """One a question; none at all for a bundle without co-occurrence."""
        if (cooccurrence := self._recommender.cooccurrence) is None:
            return []
        return [cooccurrence.bonus(*one) for one in zip(histories, (its.blend for its in questions), strict=True)]

    def _rank(
        self, questions: Sequence[Question], encoding: Encoding, bonuses: Sequence[Bonus | None]
    ) -> list[Ranking]:
        """The list to show for each question, out of one ranking of the catalogue as deep as the deepest needs."""
        recommender = self._ready_recommender()
        excluded = [self._excluded(question) for question in questions]
        allowed = [self._allowed(question) for question in questions]
        depth = max(question.depth for question in questions)
        rankings = recommender.rank(encoding.query_vectors, max(depth, self._candidates), excluded, allowed, bonuses)
        rankings = self._ranked_anew(questions, encoding.intent_weights, rankings)

        def ranked_alone(number: int, depth: int) -> Ranking:
            one = slice(number, number + 1)
            query_vectors, depth = encoding.query_vectors[one], max(depth, self._candidates)
            found = recommender.rank(query_vectors, depth, excluded[one], allowed[one], bonuses[one])
            return self._ranked_anew(questions[one], encoding.intent_weights[one], found, depth)[0]

        return [
            self._chosen(question, ranking.first(question.depth), partial(ranked_alone, number))
            for number, (question, ranking) in enumerate(zip(questions, rankings, strict=True))
        ]

    def _ranked_anew(
        self, questions: Sequence[Question], weights: Floats, rankings: list[Ranking], depth: int = 0
    ) -> list[Ranking]:
        """By the second stage where a question has a context: each list as deep as it would be alone, or `depth`."""
        if self._ranker is None:
            return rankings
        contexts = {place: context for place, one in enumerate(questions) if (context := one.context) is not None}
        asked = list(contexts)
        cut = [rankings[place].first(max(questions[place].depth, self._candidates, depth)) for place in asked]
        found = dict(zip(asked, self._ranker.rank(list(contexts.values()), weights[asked], cut), strict=True))
        return [found.get(place, ranking) for place, ranking in enumerate(rankings)]

    def _chosen(self, question: Question, ranking: Ranking, deeper: Callable[[int], Ranking]) -> Ranking:
        if not question.varied:
            return ranking
        return choose(
            question, ranking, deeper, groups=self.catalogue.groups, vectors=self._recommender.items.vectors_of
        )

    def _reasons(self, weights: Floats, history: list[int], shown: Ranking) -> list[Why]:
        reasons = self._recommender.reasons
        intents = reasons.intents(weights, shown.rows).tolist()
        nearest = reasons.nearest(np.array(history), shown.rows, NEAREST).tolist()
        return [
            Why(intent, [self.vocabulary.item_id(row) for row in rows])
            for intent, rows in zip(intents, nearest, strict=True)
        ]

    def _excluded(self, question: Question) -> set[int]:
        return self.vocabulary.known_rows((*question.seen, *question.exclude))

    def _allowed(self, question: Question) -> Allowed | None:
        """The same object for the same filters, so that a batch holds each only once."""
        chosen = self.catalogue.allowed(question.filters)
        if question.allow is None:
            return chosen
        listed = np.zeros(len(self.vocabulary), dtype=np.bool_)
        listed[np.array(list(self.vocabulary.known_rows(question.allow)), dtype=np.int64) - 1] = True
        return Allowed(listed).within(chosen)

    def _items(self, ranking: Ranking) -> list[RankedItem]:
        return [
            RankedItem(item_id=self.vocabulary.item_id(row), score=score, title=self.catalogue.title(row))
            for row, score in zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True)
        ]

    def _check_intent(self, intent_id: int) -> None:
        if not 0 <= intent_id < self.manifest.intents.count:
            raise UnknownIntentError(intent_id, self.manifest.intents.count)


def _answer(
    question: Question,
    shown: Ranking,
    source: Source,
    intents: list[IntentWeight],
    unknown: list[str],
    reasons: list[Why] | None = None,
    intent: int | None = None,
) -> Answer:
    available = len(shown.rows) if len(shown.rows) < question.k else None
    return Answer(shown, source, intents, unknown, available, question.titles, reasons, intent)


def _strongest(weights: Floats, top: int) -> list[IntentWeight]:
    if top == 0:
        return []
    order = np.argsort(-weights, kind="stable")[:top]
    return [IntentWeight(intent_id=int(intent), weight=float(weights[intent])) for intent in order]
