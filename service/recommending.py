"""From requests to answers: stored sequences, the engine, the counters."""

import asyncio
from collections.abc import Sequence

from service.answers import answer_json
from service.dependencies import Histories
from service.engine import Engine
from service.question import Answer, Question
from service.schemas import RecommendationRequest
from service.stores.base import SequenceStore
from service.telemetry import RECOMMENDATIONS, UNDERFILLED, UNKNOWN_ITEMS, Stages

IN_LOOP = 64  # a larger batch would hold up other requests: it goes to a thread


async def recommend(requests: Sequence[RecommendationRequest], engine: Engine, store: SequenceStore) -> list[bytes]:
    """Answer a batch from one engine, as JSON: one read from the store, one encoder call, one ranking."""
    stages = Stages()
    histories = Histories(store, stages)
    users = list(dict.fromkeys(request.user_id for request in requests if request.user_id is not None))
    stored = dict(zip(users, await histories.of(users), strict=True))
    questions = [_question(request, stored.get(request.user_id or "", [])) for request in requests]
    if len(questions) <= IN_LOOP:
        answers = engine.recommend(questions, stages)
    else:
        answers = await asyncio.to_thread(engine.recommend, questions, stages)
    for answer in answers:
        _count(answer)
    return [
        answer_json(answer, engine, histories.degraded if request.user_id is not None else None)
        for request, answer in zip(requests, answers, strict=True)
    ]


def _question(request: RecommendationRequest, stored: list[str]) -> Question:
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
        intents=request.intents,
        titles=request.titles,
        reasons=request.reasons,
    )


def _count(answer: Answer) -> None:
    RECOMMENDATIONS.labels(answer.source).inc()
    if answer.unknown_items:
        UNKNOWN_ITEMS.inc(len(answer.unknown_items))
    if answer.available is not None:
        UNDERFILLED.inc()
