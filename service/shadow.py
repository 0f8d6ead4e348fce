"""A second engine is asked what the first was asked, and only compared: nobody gets its answers."""

import asyncio
import logging
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from service.engine import Engine
from service.question import Answer, Question
from service.registry import Registry
from service.telemetry import SHADOW_DROPPED, SHADOW_DURATION, SHADOW_OVERLAP, Stages

log = logging.getLogger("intently")


class Shadow:
    """One batch at a time, in a thread of its own; what comes meanwhile is not compared."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._working: asyncio.Future[None] | None = None

    @property
    def reranks(self) -> bool:
        """Whether questions should come with a context, for the shadow's sake."""
        found = self._registry.shadow()
        return found is not None and found[0].reranks

    def compare(self, questions: Sequence[Question], answers: Sequence[Answer], engine: Engine) -> None:
        """Compare a sample of what `engine` answered, later; returns at once."""
        found = self._registry.shadow()
        if found is None or found[0] is engine:
            return
        other, share = found
        chosen = [place for place in range(len(questions)) if random.random() < share]  # noqa: S311  # a sample
        if not chosen:
            return
        if self._working is not None and not self._working.done():
            SHADOW_DROPPED.inc(len(chosen))
            return
        asked = [questions[place] for place in chosen]
        shown = [_ids(answers[place], engine) for place in chosen]
        self._working = asyncio.get_running_loop().run_in_executor(self._thread, _compare, other, asked, shown)

    def close(self) -> None:
        """Wait for the batch at work."""
        self._thread.shutdown()


def _compare(engine: Engine, questions: Sequence[Question], shown: Sequence[set[str]]) -> None:
    try:
        with SHADOW_DURATION.time():
            answers = engine.recommend(questions, Stages(observed=False))
        for ids, answer in zip(shown, answers, strict=True):
            SHADOW_OVERLAP.observe(len(ids & _ids(answer, engine)) / max(len(ids), 1))
    except Exception:  # a shadow may fail: that is what it is for
        log.exception("the shadow %s failed", engine.bundle_id)


def _ids(answer: Answer, engine: Engine) -> set[str]:
    return {engine.vocabulary.item_id(row) for row in answer.ranking.rows.tolist()}
