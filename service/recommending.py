"""From requests to answers: stored sequences, the engine, the counters."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from service.answers import Listed, answer_json, shown_json
from service.catalogue import CATEGORY
from service.control import Control
from service.dependencies import Histories
from service.engine import Engine
from service.experiments.assignment import Assigned, Assignments
from service.exposing import Exposing, Shown
from service.inference.ranker import Context
from service.last_intents import LastIntents
from service.question import Answer, Question
from service.recent_intents import RecentIntents
from service.registry import Registry
from service.schemas import RecommendationRequest
from service.shadow import Shadow
from service.stores.base import SequenceStore
from service.telemetry import RECOMMENDATIONS, UNDERFILLED, UNKNOWN_ITEMS, Stages
from service.timestamps import moment

IN_LOOP = 64  # a larger batch would hold up other requests: it goes to a thread


class Recommending:
    """Answers batches of requests, each request from one whole bundle."""

    def __init__(
        self,
        registry: Registry,
        store: SequenceStore,
        last_intents: LastIntents,
        exposing: Exposing,
        shadow: Shadow | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._last_intents = last_intents
        self._shadow = shadow
        self._exposing = exposing
        self._control = Control()
        self._assignments = Assignments(())
        self.recent_intents = RecentIntents()

    def follow(self, control: Control) -> None:
        """Assign users as it says, from the next batch on."""
        if control is not self._control:
            self._control, self._assignments = control, Assignments(control.experiments, control.holdout)

    async def answer(self, requests: Sequence[RecommendationRequest], engine: Engine | None = None) -> list[bytes]:
        """One answer a request, in order, as JSON; from `engine`, else from the engine of each user.

        One read from the store; one encoder call and one ranking an engine.
        """
        stages = Stages()
        histories = Histories(self._store, stages)
        users = list(dict.fromkeys(request.user_id for request in requests if request.user_id is not None))
        stored = dict(zip(users, await histories.of(users), strict=True))
        batch = _Batch(requests, stored, histories.degraded, stages)
        if engine is None and self._assignments.any:
            batch.assigned = self._assigned(batch)
        groups: dict[Engine, list[int]] = {}
        for place in range(len(requests)):
            groups.setdefault(engine or self._engine(batch, place), []).append(place)
        answers: dict[int, bytes] = {}
        for its, places in groups.items():
            answers |= dict(zip(places, await self._by_engine(its, batch, places), strict=True))
        if batch.shown:
            with batch.stages.measure("expose"):
                self._exposing.record(batch.shown)
        return [answers[place] for place in range(len(requests))]

    def _assigned(self, batch: "_Batch") -> dict[int, tuple[Assigned, ...]]:
        """The variants of all who name a user; with a store that is away nobody's activity is known."""
        found = {}
        for place, request in enumerate(batch.requests):
            if (user_id := request.user_id) is not None:
                stored = batch.stored_events(user_id)
                group = None if stored is None else self._exposing.activity.group(stored)
                found[place] = self._assignments.assign(user_id, group, request.attributes)
        return found

    def _engine(self, batch: "_Batch", place: int) -> Engine:
        """Of the variant, where an experiment compares bundles, else as the registry has it.

        A request whose filters its variant's bundle does not know is answered by the active one.
        """
        request = batch.requests[place]
        its = next((one for one in batch.assigned.get(place, ()) if one.compares_bundles), None)
        if its is None:
            return self._registry.engine_for(request.user_id)
        engine = self._registry.engine_of_variant(its.bundle_id)
        return engine if engine.knows(request.filters) else self._registry.engine()

    async def _by_engine(self, engine: Engine, batch: "_Batch", places: Sequence[int]) -> list[bytes]:
        requests = [batch.requests[place] for place in places]
        questions = self._questions(engine, batch, places)
        if len(questions) <= IN_LOOP:
            answers = engine.recommend(questions, batch.stages)
        else:
            answers = await asyncio.to_thread(engine.recommend, questions, batch.stages)
        for request, answer in zip(requests, answers, strict=True):
            _count(answer)
            if answer.intent is None:
                continue
            self.recent_intents.note(engine.bundle_id, answer.intent)
            if request.user_id is not None:
                self._last_intents.remember(request.user_id, engine.bundle_id, answer.intent)
        if self._shadow is not None:
            self._shadow.compare(questions, answers, engine)
        with batch.stages.measure("answer"):
            return [self._answer(batch, place, one, engine) for place, one in zip(places, answers, strict=True)]

    def _answer(self, batch: "_Batch", place: int, answer: Answer, engine: Engine) -> bytes:
        """As JSON; who is in an experiment leaves an exposure."""
        listed, request, assigned = Listed.of(answer), batch.requests[place], batch.assigned.get(place, ())
        if (user_id := request.user_id) is None:
            return answer_json(listed, answer, engine, None)
        if assigned:
            shown = shown_json(listed, answer, engine, batch.degraded)
            batch.shown.append(Shown(request, user_id, batch.stored_events(user_id), assigned, shown))
        return answer_json(listed, answer, engine, batch.degraded, assigned)

    def _questions(self, engine: Engine, batch: "_Batch", places: Sequence[int]) -> list[Question]:
        """With their contexts only where a ranker asks for them."""
        questions = [self._question(batch, place, engine) for place in places]
        if not (engine.reranks or (self._shadow is not None and self._shadow.reranks)):
            return questions
        now = time.time()
        contexts = [batch.context(place, now) for place in places]
        return [replace(one, context=context) for one, context in zip(questions, contexts, strict=True)]

    def _question(self, batch: "_Batch", place: int, engine: Engine) -> Question:
        request = batch.requests[place]
        user_id = request.user_id
        last_intent = None
        if batch.degraded is not None and user_id is not None:
            last_intent = self._last_intents.of(user_id, engine.bundle_id)
        question = _question(request, batch.stored.get(user_id or "", []), last_intent)
        for its in batch.assigned.get(place, ()):
            if its.options:
                question = replace(question, **its.options)
        return question


@dataclass
class _Batch:
    """Requests that are answered together, and what is known of those who ask."""

    requests: Sequence[RecommendationRequest]
    stored: Mapping[str, list[str]]  # item ids by user_id
    degraded: str | None
    stages: Stages
    assigned: Mapping[int, tuple[Assigned, ...]] = field(default_factory=dict)  # by place of the request
    shown: list[Shown] = field(default_factory=list)  # to who is in an experiment

    def stored_events(self, user_id: str) -> int | None:
        """How active the user is; None where that is not known, the store being away."""
        return len(self.stored[user_id]) if self.degraded is None else None

    def context(self, place: int, now: float) -> Context | None:
        """What a ranker asks for; None where it is not known how active the user is."""
        request = self.requests[place]
        when = moment(request.timestamp, now)
        if request.user_id is None:
            return Context(len(request.history or ()), request.attributes, when)
        stored = self.stored_events(request.user_id)
        return None if stored is None else Context(stored, request.attributes, when)


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
