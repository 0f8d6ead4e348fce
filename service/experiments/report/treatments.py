"""One treatment against control: over all users, by group, by day, and what to do with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.experiments.report.contents import Slice, Treatment
from service.experiments.report.judging import Judge, Pair
from service.experiments.report.period import Period
from service.experiments.report.planning import Segment, so_far
from service.experiments.report.sums import Sums
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import TooLittleDataError
from service.experiments.statistics.sample_ratio import SampleRatio
from service.experiments.statistics.verdict import Decision, Finding, Verdict, verdict

Plans = Mapping[str, float | None]  # metric -> the variance counted on


@dataclass(frozen=True)
class Material:
    """looks: of days 1 to 1, 1 to 2, ... up to the present one; days: of each complete day alone."""

    metrics: tuple[Metric, ...]
    groups: tuple[str, ...]
    looks: list[Sums]
    days: list[Sums]
    planned: dict[Segment, float]
    period: Period
    cuped: bool


def treatment_of(its: Material, judge: Judge, ratio: SampleRatio, control: str, treatment: str) -> Treatment:
    """All of it but novelty and quantiles."""
    pair = _pair(its.looks[-1], control, treatment)
    plans = {one.name: its.planned.get((one.name, treatment, None)) for one in its.metrics}
    watching = replace(judge, ended=False)
    complete = enumerate(its.looks[: its.period.complete], start=1)
    decided = _verdict(its, judge, pair, plans, ratio)
    return Treatment(
        control=control,
        variant=treatment,
        decision=decided.decision.value,
        because=list(decided.because),
        overall=_corrected(its, judge, [_slice(its, judge, "", pair, plans)])[0].results,
        unadjusted=_slice(replace(its, cuped=False), judge, "", pair, plans).results if its.cuped else [],
        groups=_groups(its, judge, control, treatment),
        days=[_day(its, judge, str(day), _pair(one, control, treatment)) for day, one in enumerate(its.days, start=1)],
        through=[_slice(its, watching, str(day), _pair(one, control, treatment), plans) for day, one in complete],
        novelty=[],
        quantiles=[],
    )


def _pair(sums: Sums, control: str, treatment: str, group: str | None = None) -> Pair:
    return sums.of(control, group), sums.of(treatment, group)


def _slice(its: Material, judge: Judge, name: str, pair: Pair, plans: Plans) -> Slice:
    results = [judge.result(one, pair, plans[one.name], cuped=its.cuped) for one in its.metrics]
    return Slice(name=name, control_users=pair[0].users, treatment_users=pair[1].users, results=results)


def _day(its: Material, judge: Judge, name: str, pair: Pair) -> Slice:
    """All of a complete day is known: what was to accumulate is what did."""
    return _slice(its, judge, name, pair, {one.name: so_far(one, pair, cuped=its.cuped) or None for one in its.metrics})


def _groups(its: Material, judge: Judge, control: str, treatment: str) -> list[Slice]:
    found = []
    for group in its.groups:
        plans = {one.name: its.planned.get((one.name, treatment, group)) for one in its.metrics}
        found.append(_slice(its, judge, group, _pair(its.looks[-1], control, treatment, group), plans))
    return _corrected(its, judge, found)


def _corrected(its: Material, judge: Judge, slices: list[Slice]) -> list[Slice]:
    """With Holm's p-values over the goals of all slices; guardrails, which must all hold, need none."""
    goals = {one.name for one in its.metrics if one.role == "goal"}
    results = {(place, found.metric): found for place, one in enumerate(slices) for found in one.results}
    corrected = judge.corrected({key: found for key, found in results.items() if key[1] in goals})
    return [
        one.model_copy(update={"results": [corrected.get((place, found.metric), found) for found in one.results]})
        for place, one in enumerate(slices)
    ]


def _verdict(its: Material, judge: Judge, pair: Pair, plans: Plans, ratio: SampleRatio) -> Verdict:
    """A guardrail of which nothing is known yet cannot be said to hold."""
    findings, unknown = [], []
    for metric in its.metrics:
        try:
            findings.append(Finding(metric, judge.compare(metric, pair, plans[metric.name], cuped=its.cuped)))
        except TooLittleDataError:
            unknown += [metric.name] if metric.role == "guardrail" else []
    found = verdict(findings, ratio, ended=judge.ended, alpha=judge.alpha / judge.tests)
    if found.decision is Decision.SHIP and unknown:
        return Verdict(Decision.NO_GAIN if judge.ended else Decision.GO_ON, tuple(unknown))
    return found
