"""What to do with an experiment."""

import pytest

from service.experiments.statistics.effects import Comparison, Effect, Valid
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.sample_ratio import SampleRatio
from service.experiments.statistics.verdict import Decision, Finding, verdict

FAIR, UNFAIR = SampleRatio(0.5, {}), SampleRatio(1e-6, {("day", "2"): 1e-7})
CLICKS = Metric("clicks", "mean", "clicks")
COST = Metric("cost", "mean", "cost", better="down")
VIEWS = Metric("views", "mean", "views", role="guardrail", tolerance=0.02)
DELAY = Metric("delay", "mean", "delay", role="guardrail", tolerance=0.02, better="down")


def finding(metric: Metric, low: float, high: float, p_value: float = 0.5, valid: Valid = Valid.AT_ANY_TIME) -> Finding:
    effect = Effect((low + high) / 2, low, high)
    return Finding(metric, Comparison(1, 1 + effect.value, effect, effect, p_value, valid))


GAIN, LOSS, OPEN = (
    finding(CLICKS, 0.01, 0.03, p_value=0.001),
    finding(CLICKS, -0.03, -0.01, p_value=0.001),
    finding(CLICKS, -0.01, 0.02),
)
HOLDS, BROKEN, UNSURE = finding(VIEWS, -0.01, 0.01), finding(VIEWS, -0.09, -0.03), finding(VIEWS, -0.03, 0.01)


@pytest.mark.parametrize(
    ("findings", "ratio", "ended", "decision", "because"),
    [
        ([GAIN], UNFAIR, True, Decision.BLOCKED, ("day 2",)),
        ([GAIN, BROKEN], UNFAIR, False, Decision.BLOCKED, ("day 2",)),
        ([GAIN, BROKEN], FAIR, False, Decision.GUARDRAIL, ("views",)),
        ([OPEN, BROKEN], FAIR, True, Decision.GUARDRAIL, ("views",)),
        ([GAIN, finding(DELAY, 0.03, 0.09)], FAIR, True, Decision.GUARDRAIL, ("delay",)),
        ([LOSS, HOLDS], FAIR, False, Decision.WORSE, ("clicks",)),
        ([GAIN, finding(COST, 0.01, 0.03, p_value=0.001)], FAIR, True, Decision.WORSE, ("cost",)),
        ([GAIN], FAIR, False, Decision.SHIP, ("clicks",)),
        ([GAIN, HOLDS], FAIR, True, Decision.SHIP, ("clicks",)),
        ([GAIN, finding(DELAY, -0.5, 0.01)], FAIR, True, Decision.SHIP, ("clicks",)),
        ([OPEN, finding(COST, -0.03, -0.01, p_value=0.001)], FAIR, True, Decision.SHIP, ("cost",)),
        ([GAIN, UNSURE], FAIR, False, Decision.GO_ON, ("views",)),
        ([GAIN, UNSURE], FAIR, True, Decision.NO_GAIN, ("views",)),
        ([OPEN, HOLDS], FAIR, False, Decision.GO_ON, ()),
        ([OPEN, HOLDS], FAIR, True, Decision.NO_GAIN, ()),
        ([], FAIR, False, Decision.GO_ON, ()),
    ],
)
def test_decisions(
    findings: list[Finding], ratio: SampleRatio, ended: bool, decision: Decision, because: tuple[str, ...]
) -> None:
    """Sample ratio before guardrails before losses before gains; what is not known to hold does not ship."""
    found = verdict(findings, ratio, ended=ended)
    assert (found.decision, found.because) == (decision, because)


def test_goals_share_their_error() -> None:
    """p = 0.03 ships alone; among two goals Holm makes 0.06 of it."""
    close = finding(CLICKS, 0.001, 0.02, p_value=0.03)
    assert verdict([close], FAIR, ended=True).decision is Decision.SHIP
    assert verdict([close, finding(COST, -0.1, 0.1)], FAIR, ended=True).decision is Decision.NO_GAIN


def test_a_test_for_the_end_decides_nothing_before_it() -> None:
    """Whoever peeks with a fixed-horizon p-value is told so; at the end it is welcome."""
    fixed = finding(CLICKS, 0.01, 0.03, p_value=0.001, valid=Valid.AT_THE_PLANNED_END)
    with pytest.raises(ValueError, match="valid at any time, not so: clicks"):
        verdict([fixed], FAIR, ended=False)
    assert verdict([fixed], FAIR, ended=True).decision is Decision.SHIP


def test_a_guardrail_without_a_relative_effect_is_not_known_to_hold() -> None:
    """Nor to be violated."""
    unknown = Finding(VIEWS, Comparison(0, 1, Effect(1, 0, 2), None, 0.05, Valid.AT_ANY_TIME))
    assert verdict([GAIN, unknown], FAIR, ended=False).decision is Decision.GO_ON
