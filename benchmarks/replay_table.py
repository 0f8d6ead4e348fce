"""Replayed experiments, in the layout of S4Rec's Table 6 with the intervals it lacks, and what they cost."""

from typing import Any

from pages import header, row

Line = dict[str, Any]
WORDS = (
    "`make bench-replay`: two bundles, trained on the first 60 % of every sequence, share the users of the rest, which "
    "is replayed through the running service and Redis. Uplift of the treatment with its interval: of each day alone, "
    "of all users (at the planned end), and by the users' group at their first exposure; below it the effect there is "
    "(every list of both bundles, probabilities in place of clicks) and the smallest that so many users find in four "
    "of five experiments. [experiments.md](experiments.md#what-a-replay-cannot-show) says what a replay cannot show."
)
COLUMNS = ("", "PVCTR", "CVR of views", "UVCTR", "offline CTR AUC", "offline CVR AUC")
SHOWN = ("pvctr", "ctcvr", "uvctr")


def replays(lines: list[Line]) -> str | None:
    """The newest line of each dataset and pair; None before anything was measured."""
    its = [line for line in lines if line["kind"] == "experiment" and "replay" in line]
    found = {(line["dataset"], line["method"]): line for line in its}
    if not found:
        return None
    return "\n\n".join(["## Replayed experiments", WORDS, *(replayed(line) for line in found.values())])


def replayed(line: Line) -> str:
    """One experiment."""
    [its], aucs = line["report"]["treatments"], line["auc"]
    rows = header(COLUMNS)
    for day in its["days"]:
        rows.append(row(f"day {day['name']}", *uplifts(day["results"]), *auc_uplifts(aucs, f"day {day['name']}")))
    rows.append(row("all days", *uplifts(its["overall"]), *auc_uplifts(aucs, "all")))
    rows += [row(f"{group['name']} users", *uplifts(group["results"]), "", "") for group in its["groups"]]
    rows.append(row("the effect there is", *truths(line), "", ""))
    plan = {metric: days[-1]["detectable"] for metric, days in line["replay"]["plan"].items()}
    rows.append(row("smallest that was to be found", *(percent(plan.get(metric)) for metric in SHOWN), "", ""))
    return "\n\n".join([f"### {line['dataset']}: {line['method']}", "\n".join(rows), cost(line, its)])


def uplifts(results: list[Line]) -> list[str]:
    """Of the metrics that are shown."""
    by_metric = {result["metric"]: result.get("uplift") for result in results}
    return [interval(by_metric.get(metric)) for metric in SHOWN]


def interval(its: Line | None) -> str:
    """An uplift in percent, bold where it excludes 0."""
    if its is None:
        return ""
    low, high = f"{100 * its['low']:+.1f}", "∞" if its["high"] is None else f"{100 * its['high']:+.1f}"
    excluded = its["low"] > 0 or (its["high"] is not None and its["high"] < 0)
    value = f"{100 * its['value']:+.1f} %"
    return f"{f'**{value}**' if excluded else value} [{low}, {high}]"


def auc_uplifts(aucs: Line, part: str) -> list[str]:
    """Relative, as the paper prints them, with the interval of the difference over the control's AUC."""
    found = []
    for kind in ("ctr", "cvr"):
        its = aucs[kind].get(part)
        relative = (
            None
            if its is None
            else {"value": its["treatment"] / its["control"] - 1}
            | {end: its[end] / its["control"] for end in ("low", "high")}
        )
        found.append(interval(relative))
    return found


def truths(line: Line) -> list[str]:
    """The uplift that both bundles' lists have."""
    control, treatment = line["variants"]
    values = line["replay"]["truth"]
    return [percent(values[metric][treatment] / values[metric][control] - 1, sign="+") for metric in SHOWN]


def percent(share: float | None, sign: str = "") -> str:
    """One place."""
    return "" if share is None else f"{100 * share:{sign}.1f} %"


def cost(line: Line, its: Line) -> str:
    """What was decided, and what it cost."""
    done = line["replay"]["replayed"]
    rate, p50, p99 = (done[key] for key in ("requests/s", "recommendation p50, ms", "recommendation p99, ms"))
    return (
        f"Decision: {its['decision']}. {done['steps']:,} lists, {done['requests']:,} requests at {rate:,.0f} a second "
        f"(client included), a list in {p50} ms (p50), {p99} ms (p99). Command: `{line['command']}`."
    )
