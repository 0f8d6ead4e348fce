"""From requests to answers: stored sequences, the engine, the counters."""

import asyncio
from collections.abc import Mapping, Sequence

from service.answers import answer_json
from service.catalogue import CATEGORY
from service.dependencies import Histories
from service.engine import Engine
from service.last_intents import LastIntents
from service.question import Answer, Question
from service.recent_intents import RecentIntents
from service.registry import Registry
from service.schemas import RecommendationRequest
from service.shadow import Shadow
from service.stores.base import SequenceStore
from service.telemetry import RECOMMENDATIONS, UNDERFILLED, UNKNOWN_ITEMS, Stages

IN_LOOP = 64  # a larger batch would hold up other requests: it goes to a thread


class Recommending:
    """Answers batches of requests, each request from one whole bundle."""

    def __init__(
        self, registry: Registry, store: SequenceStore, last_intents: LastIntents, shadow: Shadow | None = None
    ) -> None:
        self._registry = registry
        self._store = store
        self._last_intents = last_intents
        self._shadow = shadow
        self.recent_intents = RecentIntents()

    async def answer(self, requests: Sequence[RecommendationRequest], engine: Engine | None = None) -> list[bytes]:
        """One answer a request, in order, as JSON; from `engine`, else from the engine of each user.

        One read from the store; one encoder call and one ranking an engine.
        """
        stages = Stages()
        histories = Histories(self._store, stages)
        users = list(dict.fromkeys(request.user_id for request in requests if request.user_id is not None))
        stored = dict(zip(users, await histories.of(users), strict=True))
        groups: dict[Engine, list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(engine or self._registry.engine_for(request.user_id), []).append(place)
        answers: dict[int, bytes] = {}
        for its, places in groups.items():
            asked = [requests[place] for place in places]
            answers |= dict(zip(places, await self._by_engine(its, asked, stored, histories, stages), strict=True))
        return [answers[place] for place in range(len(requests))]

    async def _by_engine(
        self,
        engine: Engine,
        requests: Sequence[RecommendationRequest],
        stored: Mapping[str, list[str]],
        histories: Histories,
        stages: Stages,
    ) -> list[bytes]:
        away = histories.degraded is not None
        questions = [
            _question(
                request,
                stored.get(request.user_id or "", []),
                self._last_intents.of(request.user_id, engine.bundle_id) if away and request.user_id else None,
            )
            for request in requests
        ]
        if len(questions) <= IN_LOOP:
            answers = engine.recommend(questions, stages)
        else:
            answers = await asyncio.to_thread(engine.recommend, questions, stages)
        for request, answer in zip(requests, answers, strict=True):
            _count(answer)
            if answer.intent is None:
                continue
            self.recent_intents.note(engine.bundle_id, answer.intent)
            if request.user_id is not None:
                self._last_intents.remember(request.user_id, engine.bundle_id, answer.intent)
        if self._shadow is not None:
            self._shadow.compare(questions, answers, engine)
        with stages.measure("answer"):
            return [
                answer_json(answer, engine, histories.degraded if request.user_id is not None else None)
                for request, answer in zip(requests, answers, strict=True)
            ]


def _question(request: RecommendationRequest, stored: list[str], last_intent: int | None) -> Question:
    """With both, the history is the input; what is stored still counts as seen."""
    history, seen = (stored, stored) if request.history is None else (request.history, [*stored, *request.history])
    return Question(
        history=history,
        k=request.k,
        seen=seen if request.exclude_seen else (),
        exclude=request.exclude,
        allow=request.allow,
        filters=request.filters,
        max_per_category=request.max_per_category,
        diversity=request.diversity,
        blend=request.blend,
        intents=request.intents,
        titles=request.titles,
        reasons=request.reasons,
        last_intent=last_intent,
        category=category if isinstance(category := request.attributes.get(CATEGORY), str) else None,
    )


def _count(answer: Answer) -> None:
    RECOMMENDATIONS.labels(answer.source).inc()
    if answer.unknown_items:
        UNKNOWN_ITEMS.inc(len(answer.unknown_items))
    if answer.available is not None:
        UNDERFILLED.inc()
