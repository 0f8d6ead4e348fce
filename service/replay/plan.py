"""Before an experiment: the smallest effect it could see, by a pilot that asks for the control's lists only."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.experiments.answers import ExperimentAnswer
from service.experiments.statistics.moments import Days, Moments, Part
from service.experiments.statistics.planner import DayPlan, Design, plans
from service.replay.asking import ranks
from service.replay.chances import chances
from service.replay.crowd import at_once
from service.replay.held_out import Step
from service.replay.past import past_of
from service.replay.setting import Setting, Users

PILOT = 2000  # users
Integers = NDArray[np.int64]


def pilot(setting: Setting, users: Users, progress: Callable[[], None]) -> list[Moments]:
    """Totals of days 1 to 1, 1 to 2, ... of at most 2,000 of the users, all given the control's lists."""
    chosen = list(users)[:: max(1, -(-len(users) // PILOT))]

    def reactions(user_id: str) -> Integers:
        found = _reactions(setting, user_id, users[user_id])
        progress()
        return found

    table = np.stack(list(at_once(reactions, chosen))).cumsum(axis=1)  # (N, days, 3)
    return [_moments(table[:, day - 1], day) for day in range(1, setting.span.days + 1)]


def seen_at_the_end(experiment: ExperimentAnswer, history: Sequence[Moments], users: float) -> dict[str, list[DayPlan]]:
    """By metric, day by day, with so many users in the end; metrics that a replay does not bring about are left out."""
    design = Design.of(experiment.phases[-1].weights, experiment.alpha)
    metrics = [declared.metric() for declared in experiment.metrics]
    told = [one for one in metrics if set(one.columns) <= set(history[-1].columns)]
    return plans(told, history, design, traffic=users / history[-1].users)


def _reactions(setting: Setting, user_id: str, steps: Sequence[Step]) -> Integers:
    """Page views, clicks and conversions of a user by day (days, 3)."""
    past = past_of(setting.client, user_id, setting.span.start)
    control = setting.experiment.variants[0]
    found = np.zeros((setting.span.days, 3), dtype=np.int64)
    for step, rank in zip(steps, ranks(setting.client, past.items, steps, control, setting.k), strict=True):
        outcomes = setting.model.outcomes(rank, control.name, chances(setting.seed, user_id, step.position))
        found[setting.span.day(step.timestamp) - 1] += (1, "click" in outcomes, "conversion" in outcomes)
    return found


def _moments(table: Integers, day: int) -> Moments:
    """Of those who have come by then (N, 3)."""
    views, clicks, conversions = table[table[:, 0] > 0].T
    totals = {
        "page_views": views,
        "clicks": clicks,
        "any_clicks": clicks > 0,
        "conversions": conversions,
        "any_conversions": conversions > 0,
    }
    return Moments.of_users(totals, days=Days(1, day), part=Part("control", "all"))
