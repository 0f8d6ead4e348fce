"""The effect there is: every variant's list at every step, and the chance of a click in place of clicks."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import prod

from service.experiments.statistics.metrics import Metric
from service.replay.asking import ranks
from service.replay.clicks import ClickModel
from service.replay.crowd import at_once
from service.replay.past import past_of
from service.replay.setting import Setting, Users

Values = dict[str, dict[str, float]]  # metric -> variant -> value


def truth(setting: Setting, users: Users, progress: Callable[[], None] = lambda: None) -> Values:
    """What each variant's metrics would be on average, had it all of the users; nothing is posted, nobody exposed.

    Without metrics that a replay does not bring about. Raises what `ranks` does.
    """
    variants = setting.experiment.variants

    def expected_of(user_id: str) -> list[dict[str, float]]:
        past, steps = past_of(setting.client, user_id, setting.span.start).items, users[user_id]
        lists = [ranks(setting.client, past, steps, variant, setting.k) for variant in variants]
        progress()
        return [expected(setting.model, one.name, found) for one, found in zip(variants, lists, strict=True)]

    sums = {variant.name: defaultdict[str, float](float) for variant in variants}
    for found in at_once(expected_of, users):
        for total, its in zip(sums.values(), found, strict=True):
            for column, value in its.items():
                total[column] += value
    metrics = [declared.metric() for declared in setting.experiment.metrics]
    told = [metric for metric in metrics if all(_is_told(metric, its) for its in sums.values())]
    return {metric.name: {name: _value(metric, its) for name, its in sums.items()} for metric in told}


def expected(model: ClickModel, variant: str, found: Sequence[int | None]) -> dict[str, float]:
    """A user's totals on average, from the rank of each step's item: what is drawn is independent from step to step."""
    clicks = [model.chance(rank, variant) for rank in found]
    conversions = [model.conversion * chance for chance in clicks]
    return {
        "users": 1,
        "page_views": len(found),
        "clicks": sum(clicks),
        "any_clicks": 1 - prod(1 - chance for chance in clicks),
        "conversions": sum(conversions),
        "any_conversions": 1 - prod(1 - chance for chance in conversions),
    }


def _is_told(metric: Metric, sums: Mapping[str, float]) -> bool:
    return sums.keys() >= set(metric.columns) and sums[metric.denominator or "users"] > 0


def _value(metric: Metric, sums: Mapping[str, float]) -> float:
    return sums[metric.top] / sums[metric.denominator or "users"]
