"""What to do with an experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from service.experiments.statistics.effects import Comparison, Valid
from service.experiments.statistics.holm import holm
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.sample_ratio import SampleRatio


class Decision(Enum):
    """In the order in which they are looked for."""

    BLOCKED = "blocked: variants did not get the users they were to get"
    GUARDRAIL = "guardrail violated"
    WORSE = "do not ship: a goal is worse"
    SHIP = "ship"
    GO_ON = "go on"
    NO_GAIN = "do not ship: nothing was gained, or a guardrail is not known to hold"


@dataclass(frozen=True)
class Finding:
    """A metric and how it came out over all users."""

    metric: Metric
    comparison: Comparison


@dataclass(frozen=True)
class Verdict:
    """A decision and the metrics that made it."""

    decision: Decision
    because: tuple[str, ...] = ()


def verdict(findings: Sequence[Finding], ratio: SampleRatio, *, ended: bool, alpha: float = 0.05) -> Verdict:
    """Ship: a goal better, none worse (Holm over goals), every guardrail known to lose less than its tolerance.

    All guardrails must hold, so they need no correction. Before the planned end only comparisons that are valid at any
    time are taken, raises ValueError for others.
    """
    early = [found.metric.name for found in findings if found.comparison.valid is not Valid.AT_ANY_TIME]
    if early and not ended:
        raise ValueError(f"before the planned end a comparison must be valid at any time, not so: {', '.join(early)}")
    if ratio.blocks:
        return Verdict(Decision.BLOCKED, tuple(f"{kind} {piece}" for kind, piece in ratio.off))
    guardrails = [found for found in findings if found.metric.role == "guardrail"]
    if violated := tuple(found.metric.name for found in guardrails if _gain(found)[1] < -_tolerance(found)):
        return Verdict(Decision.GUARDRAIL, violated)
    better, worse = _goals(findings, alpha)
    if worse:
        return Verdict(Decision.WORSE, worse)
    unsure = tuple(found.metric.name for found in guardrails if not _gain(found)[0] > -_tolerance(found))
    if better and not unsure:
        return Verdict(Decision.SHIP, better)
    return Verdict(Decision.NO_GAIN if ended else Decision.GO_ON, unsure)


def _goals(findings: Sequence[Finding], alpha: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the goals that are better, and of those that are worse."""
    goals = {found.metric.name: found for found in findings if found.metric.role == "goal"}
    p_values = holm({name: found.comparison.p_value for name, found in goals.items()})
    sure = [found for name, found in goals.items() if p_values[name] <= alpha]
    wanted = {"up": 1, "down": -1}
    gains = {found.metric.name: found.comparison.absolute.value * wanted[found.metric.better] for found in sure}
    return tuple(name for name in gains if gains[name] > 0), tuple(name for name in gains if gains[name] < 0)


def _gain(found: Finding) -> tuple[float, float]:
    """Ends of the relative interval, upwards what is wanted; anything is possible where there is none."""
    effect = found.comparison.relative
    if effect is None:
        return float("-inf"), float("inf")
    return (effect.low, effect.high) if found.metric.better == "up" else (-effect.high, -effect.low)


def _tolerance(found: Finding) -> float:
    assert found.metric.tolerance is not None  # a guardrail has one
    return found.metric.tolerance
