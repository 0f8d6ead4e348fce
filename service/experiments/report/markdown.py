"""A report as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from service.experiments.report.contents import Interval, Report, Result, Slice, Treatment
from service.experiments.statistics.planner import DayPlan

LEFT, RIGHT = "---", "---:"


def as_markdown(report: Report) -> str:
    """Headings, sentences and tables."""
    parts = [f"# Experiment {report.experiment}, phase {report.phase}", report.description, _state(report)]
    parts += [f"**{one.variant}: {_decision(one)}**" for one in report.treatments]
    parts += [_arms(report), _split(report)]
    for treatment in report.treatments:
        parts += _treatment(report, treatment)
    return "\n\n".join(part for part in parts if part) + "\n"


def plan_as_markdown(plans: Mapping[str, Sequence[DayPlan]]) -> str:
    """A row a day: users so far, and the smallest uplift of each metric that they find in four of five experiments."""
    if not plans:
        return "Nothing is known of these metrics from that experiment.\n"
    rows = [
        (str(days[0].day), f"{days[0].users:,}", *(f"{100 * one.detectable:.2f} %" for one in days))
        for days in zip(*plans.values(), strict=True)
    ]
    return _table(("day", "users", *plans), (RIGHT,) * (2 + len(plans)), rows) + "\n"


def percent(value: float) -> str:
    """A share with its sign."""
    return f"{100 * value:+.2f} %"


def interval(found: Interval | None) -> str:
    """Its ends, in percent."""
    if found is None:
        return ""
    high = "" if found.high is None else f" to {100 * found.high:+.2f} %"
    return f"{100 * found.low:+.2f}{high or ' % or more'}"


def probability(p_value: float | None) -> str:
    """Three digits, or that it is less."""
    if p_value is None:
        return ""
    return "< .001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")


def _state(report: Report) -> str:
    begun, ends, until = (_time(one) for one in (report.started, report.ends, report.until))
    if report.ended:
        when = f"The planned end, {ends}, is reached: tests are those of a fixed horizon."
    else:
        when = f"Day {report.day} of {report.days}, planned until {ends}: intervals and p-values hold at every look."
    stopped = (
        "" if report.stopped is None or report.ended else f" Stopped {_time(report.stopped)}, before the planned end."
    )
    past = " Adjusted by what users did before (CUPED)." if report.adjusted else ""
    return f"Started {begun}, as known {until} (UTC). {when}{stopped}{past} Intervals of {100 * report.level:g} %."


def _decision(one: Treatment) -> str:
    return one.decision + (f" ({', '.join(one.because)})" if one.because else "")


def _arms(report: Report) -> str:
    header = ("variant", "bundle", "share", "users", "page views", "clicks", "conversions")
    rows = [
        (one.name, one.bundle_id or "active", f"{100 * one.share:g} %", *(f"{count:,}" for count in counts))
        for one in report.variants
        for counts in [(one.users, one.page_views, one.clicks, one.conversions)]
    ]
    return _table(header, (LEFT, LEFT, *(RIGHT,) * 5), rows)


def _split(report: Report) -> str:
    split = report.split
    if not split.blocks and not split.off:
        return f"Sample ratio: as planned (p = {probability(split.p_value)})."
    said = (
        "**Sample ratio: off, no other number may be believed**" if split.blocks else "Sample ratio: as planned overall"
    )
    slices = ", ".join(f"{one.cut} {one.piece} (p {probability(one.p_value)})" for one in split.off)
    return f"{said} (p {probability(split.p_value)})." + (f" Slices that are off: {slices}." if slices else "")


def _treatment(report: Report, its: Treatment) -> list[str]:
    """One treatment's tables."""
    names = (its.control, its.variant)
    parts = [f"## {its.variant} against {its.control}", _overall(report, names, its.overall)]
    if its.unadjusted:
        parts += ["Without the adjustment:", _overall(report, names, its.unadjusted)]
    parts += _slices("By user group", "group", "The group of a user's first exposure.", its.groups)
    parts += _slices("By day", "day", "Each complete day alone, among the users who came.", its.days)
    words = "Days 1 to each taken together; intervals that hold at every look."
    parts += _slices("Until each day", "day", words, its.through)
    if its.novelty:
        parts += ["### Does the effect change over days?", _novelty(its)]
    if its.quantiles:
        parts += ["### Quantiles of users", _quantiles(its)]
    return parts


def _overall(report: Report, names: tuple[str, str], results: Sequence[Result]) -> str:
    roles = {one.name: one.role for one in report.metrics}
    header = ("metric", "role", *names, "uplift", "interval", "p", "p corrected", "detectable")
    rows = []
    for one in results:
        if one.control is None or one.treatment is None:
            rows.append((one.metric, roles[one.metric], "", "", one.problem or "", "", "", "", ""))
            continue
        uplift = percent(one.uplift.value) if one.uplift else ""
        p_values = probability(one.p_value), probability(one.p_corrected)
        smallest = "" if one.detectable is None else f"{100 * one.detectable:.2f} %"
        values = f"{one.control:.5g}", f"{one.treatment:.5g}"
        rows.append((one.metric, roles[one.metric], *values, uplift, interval(one.uplift), *p_values, smallest))
    return _table(header, (LEFT, LEFT, *(RIGHT,) * 7), rows)


def _slices(title: str, name: str, words: str, slices: Sequence[Slice]) -> list[str]:
    """A row a slice, a column a metric."""
    if not slices:
        return []
    header = (name, "users", *(one.metric for one in slices[0].results))
    rows = [
        (one.name, f"{one.control_users + one.treatment_users:,}", *(_cell(found) for found in one.results))
        for one in slices
    ]
    return [f"### {title}", words, _table(header, (LEFT, *(RIGHT,) * (len(header) - 1)), rows)]


def _cell(one: Result) -> str:
    if one.uplift is None:
        return ""
    star = " *" if one.p_corrected is not None and one.p_corrected <= 0.05 else ""
    return f"{percent(one.uplift.value)} ({interval(one.uplift)}){star}"


def _novelty(its: Treatment) -> str:
    header = ("metric", "uplift gained a day", "interval", "p of no trend", "p of equal days")
    rows = [
        (
            one.metric,
            percent(one.slope.value),
            interval(one.slope),
            probability(one.p_value),
            probability(one.days_differ),
        )
        if one.slope
        else (one.metric, one.problem or "", "", "", "")
        for one in its.novelty
    ]
    return _table(header, (LEFT, *(RIGHT,) * 4), rows)


def _quantiles(its: Treatment) -> str:
    header = ("metric", "quantile", its.control, its.variant, "difference", "interval", "p")
    rows = []
    for one in its.quantiles:
        ends = f"{one.difference.low:.4g} to {one.difference.high:.4g}"
        values = f"{one.control:.5g}", f"{one.treatment:.5g}", f"{one.difference.value:+.4g}"
        rows.append((one.metric, f"{one.probability:g}", *values, ends, probability(one.p_value)))
    return _table(header, (LEFT, *(RIGHT,) * 6), rows)


def _table(header: Sequence[str], alignment: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, alignment, *rows))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
