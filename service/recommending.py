"""From requests to answers: stored sequences, the engine, the counters."""

import asyncio
from collections.abc import Sequence

from service.answers import answer_json
from service.catalogue import CATEGORY
from service.dependencies import Histories
from service.engine import Engine
from service.last_intents import LastIntents
from service.question import Answer, Question
from service.schemas import RecommendationRequest
from service.stores.base import SequenceStore
from service.telemetry import RECOMMENDATIONS, UNDERFILLED, UNKNOWN_ITEMS, Stages

IN_LOOP = 64  # a larger batch would hold up other requests: it goes to a thread


async def recommend(
    requests: Sequence[RecommendationRequest], engine: Engine, store: SequenceStore, last_intents: LastIntents
) -> list[bytes]:
    """Answer a batch from one engine, as JSON: one read from the store, one encoder call, one ranking."""
    stages = Stages()
    histories = Histories(store, stages)
    users = list(dict.fromkeys(request.user_id for request in requests if request.user_id is not None))
    stored = dict(zip(users, await histories.of(users), strict=True))
    away = histories.degraded is not None
    questions = [
        _question(
            request,
            stored.get(request.user_id or "", []),
            last_intents.of(request.user_id, engine.bundle_id) if away and request.user_id is not None else None,
        )
        for request in requests
    ]
    if len(questions) <= IN_LOOP:
        answers = engine.recommend(questions, stages)
    else:
        answers = await asyncio.to_thread(engine.recommend, questions, stages)
    for request, answer in zip(requests, answers, strict=True):
        _count(answer)
        if request.user_id is not None and answer.intent is not None:
            last_intents.remember(request.user_id, engine.bundle_id, answer.intent)
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
