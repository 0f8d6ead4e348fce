"""Offline AUC of two bundles on the lists of an experiment: what the papers set beside the online effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal

import numpy as np

from service.engine import Engine
from service.experiments.statistics.delta import linear
from service.experiments.statistics.distributions import quantile
from service.experiments.statistics.moments import Days, Moments, Part
from service.question import Question
from service.replay.clicked_lists import ClickedList
from service.telemetry import Stages

AT_ONCE = 64
Wanted = Literal["clicked", "converted"]


@dataclass(frozen=True)
class Auc:
    """Of two bundles on the same lists; low and high: 95 % interval of treatment - control, the user as the unit."""

    lists: int
    control: float
    treatment: float
    low: float
    high: float

    @property
    def uplift(self) -> float:
        """Relative, 0.02 = 2 %, as the papers print it."""
        return self.treatment / self.control - 1


def offline_aucs(control: Engine, treatment: Engine, lists: Sequence[ClickedList], wanted: Wanted) -> dict[str, Auc]:
    """The wanted items against the others of their list: of all lists, of each day's, of those each variant made.

    Lists without both kinds of items tell nothing and are left out, as is a part without any list.
    """
    told = [one for one in lists if 0 < len(getattr(one, wanted)) < len(one.items)]
    aucs = [list_aucs(engine, told, wanted) for engine in (control, treatment)]
    parts: dict[str, list[int]] = {"all": list(range(len(told)))}
    for number, one in sorted(enumerate(told), key=lambda its: its[1].day):
        parts.setdefault(f"day {one.day}", []).append(number)
    for number, one in sorted(enumerate(told), key=lambda its: its[1].variant):
        parts.setdefault(f"lists of {one.variant}", []).append(number)
    return {
        name: compared([told[it].user_id for it in its], *([found[it] for it in its] for found in aucs))
        for name, its in parts.items()
        if its
    }


def list_aucs(engine: Engine, lists: Sequence[ClickedList], wanted: Wanted) -> list[float]:
    """Of each list the share of (wanted, other) pairs of its items that the bundle's scores put in that order.

    An item that the bundle lacks would never be shown: it comes last.
    """
    found = []
    for start in range(0, len(lists), AT_ONCE):
        part = lists[start : start + AT_ONCE]
        questions = [Question(history=one.history, k=len(one.items), allow=one.items) for one in part]
        for one, answer in zip(part, engine.recommend(questions, Stages(observed=False)), strict=True):
            items = map(engine.vocabulary.item_id, answer.ranking.rows.tolist())
            scores = dict(zip(items, answer.ranking.scores.tolist(), strict=True))
            labels = [item_id in getattr(one, wanted) for item_id in one.items]
            found.append(auc([scores.get(item_id, -inf) for item_id in one.items], labels))
    return found


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """P(a positive scores above a negative), ties half.

    >>> auc([3, 2, 2, 1], [True, False, True, False])
    0.875
    """
    values, positive = np.asarray(scores), np.asarray(labels, dtype=np.bool_)
    wanted, others = values[positive][:, None], values[~positive][None, :]
    return float(((wanted > others) + (wanted == others) / 2).mean())


def compared(user_ids: Sequence[str], control: Sequence[float], treatment: Sequence[float]) -> Auc:
    """Means over lists. Those of one user are not independent: the difference varies as a ratio over users."""
    numbers: dict[str, int] = {}
    owners = [numbers.setdefault(user_id, len(numbers)) for user_id in user_ids]
    totals = {"difference": np.bincount(owners, np.subtract(treatment, control)), "lists": np.bincount(owners)}
    moments = Moments.of_users(totals, days=Days(1, 1), part=Part("all", "all"))
    difference = linear(moments, ("difference", "lists"))
    half = inf
    if moments.users > 1:
        half = quantile(0.975, moments.users - 1) * sqrt(difference.variance(moments) / moments.users)
    means = float(np.mean(control)), float(np.mean(treatment))
    return Auc(len(owners), *means, difference.value - half, difference.value + half)
