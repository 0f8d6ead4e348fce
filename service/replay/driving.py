"""Ask before each held-out interaction, react, post what happened."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from service.replay.asking import NotAnsweredError, rank_of
from service.replay.chances import chances
from service.replay.crowd import at_once
from service.replay.held_out import Step
from service.replay.past import past_of
from service.replay.setting import Setting, Users
from service.schemas import Event, RecommendationAnswer, RecommendationRequest

INTERACTION = "interaction"  # the only type that may enter the sequences
SEQUENCE_TYPES = f"INTENTLY_SEQUENCE_EVENT_TYPES='[\"{INTERACTION}\"]'"


@dataclass
class Tally:
    """What a replay did."""

    steps: int = 0
    done_before: int = 0  # steps of an earlier run
    requests: int = 0
    degraded: int = 0  # lists that were made without the stored sequence
    seconds: list[float] = field(default_factory=list)  # of each recommendation
    exposures: Counter[str] = field(default_factory=Counter)  # by variant
    clicks: Counter[str] = field(default_factory=Counter)
    conversions: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """What another thread did."""
        for name, value in vars(other).items():
            sum_of_both = getattr(self, name)
            sum_of_both += value  # a list grows in place
            setattr(self, name, sum_of_both)

    def measured(self, seconds: float) -> dict[str, Any]:
        """What came of it, and what it cost; seconds: of the whole."""
        slow = np.percentile(self.seconds, (50, 99)) * 1000 if self.seconds else (0.0, 0.0)
        return {
            "steps": self.steps,
            "steps done before": self.done_before,
            "exposures": dict(self.exposures),
            "clicks": dict(self.clicks),
            "conversions": dict(self.conversions),
            "requests": self.requests,
            "degraded": self.degraded,
            "seconds": round(seconds, 1),
            "requests/s": round(self.requests / seconds, 1),
            "recommendation p50, ms": round(float(slow[0]), 2),
            "recommendation p99, ms": round(float(slow[1]), 2),
        }


def replay(setting: Setting, users: Users, progress: Callable[[int], None] = lambda steps: None) -> Tally:
    """Day after day, users side by side; `progress` gets steps that are done.

    A run that was broken off goes on where it stopped: what is stored tells. A list whose events were not posted any
    more is asked for again, so that at most one exposure a connection counts twice. Raises ClientError,
    NotAnsweredError.
    """
    total, newest = Tally(), dict[str, float]()

    def replay_day(job: tuple[str, list[Step]]) -> Tally:
        user_id, steps = job
        if begins := user_id not in newest:
            newest[user_id] = _checked_newest(setting, user_id, users[user_id])
        done = [step for step in steps if step.timestamp <= newest[user_id]]
        tally = Tally(done_before=len(done), requests=int(begins))
        for step in steps[len(done) :]:
            tally.add(_replayed(setting, user_id, step))
        return tally

    for day in range(1, setting.span.days + 1):
        for tally in at_once(replay_day, _of_day(setting, users, day)):
            total.add(tally)
            progress(tally.steps + tally.done_before)
    return total


def _of_day(setting: Setting, users: Users, day: int) -> Iterator[tuple[str, list[Step]]]:
    for user_id, steps in users.items():
        if todays := [step for step in steps if setting.span.day(step.timestamp) == day]:
            yield user_id, todays


def _checked_newest(setting: Setting, user_id: str, steps: Sequence[Step]) -> float:
    newest = past_of(setting.client, user_id, setting.span.start).newest
    if newest >= setting.span.start and newest not in {step.timestamp for step in steps}:
        raise NotAnsweredError(f"the stored history of {user_id!r} does not end before the days that are replayed")
    return newest


def _replayed(setting: Setting, user_id: str, step: Step) -> Tally:
    """Ask, then post outcomes and the interaction itself in one call: all of them are known, or none."""
    begun = perf_counter()
    answer = setting.client.recommend(RecommendationRequest(user_id=user_id, k=setting.k, timestamp=step.timestamp))
    tally = Tally(steps=1, requests=2, seconds=[perf_counter() - begun], degraded=int(answer.degraded is not None))
    variant = variant_of(answer, setting.experiment.name)
    rank = rank_of(step.item_id, [item.item_id for item in answer.items])
    outcomes = setting.model.outcomes(rank, variant, chances(setting.seed, user_id, step.position))
    _post(setting, user_id, step, outcomes, answer.recommendation_id)
    if variant is not None:
        tally.exposures[variant] += 1
        tally.clicks[variant] += "click" in outcomes
        tally.conversions[variant] += "conversion" in outcomes
    return tally


def _post(setting: Setting, user_id: str, step: Step, outcomes: Sequence[str], recommendation_id: str) -> None:
    its = Event(user_id=user_id, item_id=step.item_id, timestamp=step.timestamp, type=INTERACTION)
    events = [its.model_copy(update={"type": kind, "recommendation_id": recommendation_id}) for kind in outcomes]
    *results, own = setting.client.send([*events, its])
    if any(result.stored for result in results):
        raise NotAnsweredError(
            f"clicks enter the sequences here, where each item would stand twice: run the service with {SEQUENCE_TYPES}"
        )
    if own.status not in ("accepted", "duplicate") or not own.stored:
        raise NotAnsweredError(f"step {step.position} of {user_id!r} is {own.status}, {own.reason or 'and not stored'}")


def variant_of(answer: RecommendationAnswer, experiment: str) -> str | None:
    """The variant of that experiment, None for who is not in it."""
    if answer.experiments is not None:
        return next((one.variant for one in answer.experiments if one.experiment == experiment), None)
    return answer.variant if answer.experiment == experiment else None
