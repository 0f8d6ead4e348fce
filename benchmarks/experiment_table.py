"""What the statistics of experiments promise beside what was measured, and what a report costs, as tables."""

from statistics import median
from typing import Any

from pages import header, row

Line = dict[str, Any]
WORDS = (
    "`make bench-experiments`: how often a rule calls a difference in A/A tests on simulated users (heavy-tailed page "
    "views, users who come back over 14 days, a click propensity of each; about 3,000 users a test), and how often a "
    "planted effect is found with as many users as the planner asks for. A test that keeps its level lies within what "
    "is asked; NAIVE rules are there to be seen failing."
)


def experiment_levels(lines: list[Line]) -> str | None:
    """The newest line of each rule; None before anything was measured."""
    found = {line["method"]: line for line in lines if line["kind"] == "experiment" and "asked" in line}
    if not found:
        return None
    rows = header(("rule", "planted", "measured", "+-", "asked", "users", "runs"))
    for name, line in found.items():
        metrics = line["metrics"]
        planted = f"{100 * line['uplift']:.1f} %" if line["uplift"] else ""
        cells = (percent(metrics["share"], line), percent(1.96 * metrics["error"], line), asked(line))
        rows.append(row(name, planted, *cells, f"{line['users']:,}", f"{line['runs']:,}"))
    commands = sorted({line["command"] for line in found.values()})
    return "\n\n".join(["## Levels of the statistics", WORDS, "\n".join(rows), f"Command: `{'`, `'.join(commands)}`."])


def experiment_report(lines: list[Line]) -> str | None:
    """Every run of the newest measurement; None before there is one."""
    found = [line for line in lines if line["kind"] == "experiment" and "asked_seconds" in line]
    if not found:
        return None
    newest = {line["run"]: line for line in found}
    rows = header(("run", "exposures", "outcomes", "files", "seconds", "asked", "peak memory"))
    for line in newest.values():
        counts = (f"{line[name]:,}" for name in ("exposures", "outcomes", "files"))
        metrics, most = line["metrics"], f"< {line['asked_seconds']:g} s"
        cells = (f"{metrics['seconds']:.2f}", most, f"{metrics['peak_memory_mb']:.0f} MB")
        rows.append(row(str(line["run"]), *counts, *cells))
    words = "`make bench-experiment-report`: from Parquet files of an hour each to the last number, at the planned end"
    machine = newest[max(newest)]["machine"]
    where = f"({machine['cpu']}, {machine['cores']} cores); five metrics, five user groups, 14 days."
    return "\n\n".join(["## Report of an experiment", f"{words} {where}", "\n".join(rows)])


def experiment_cost(lines: list[Line]) -> str | None:
    """Medians of the rounds with and without exposures, and what it takes to assign; None before either."""
    rounds = {(line["method"], line["round"]): line for line in lines if "redis peak MB" in line.get("metrics", {})}
    assigned = {
        line["method"]: line
        for line in lines
        if "microseconds" in line.get("metrics", {}) and "asked" in line["metrics"]
    }
    if not rounds or not assigned:
        return None
    names = ("requests/s", "p50 ms", "p99 ms", "redis peak MB")
    rows = header(("service", *names))
    for method in dict.fromkeys(method for method, _ in rounds):
        its = [line["metrics"] for (found, _), line in rounds.items() if found == method]
        rows.append(row(method, *(f"{median(one[name] for one in its):,.1f}" for name in names)))
    words = (
        "`make bench-exposures`: the service of the table above with all users in an experiment, whose exposures are "
        "buffered before each answer and moved to files, beside the same without; medians of "
        f"{max(number for _, number in rounds)} rounds. `make bench-assignment`: finding a user's variants takes "
    )
    costs = ", ".join(f"{line['metrics']['microseconds']:.2f} µs ({name})" for name, line in assigned.items())
    return "\n\n".join(["## Cost of an experiment", f"{words}{costs}.", "\n".join(rows)])


def experiment_losses(lines: list[Line]) -> str | None:
    """The newest run in which the service was killed; None before there is one."""
    found = [line["metrics"] for line in lines if "kills" in line.get("metrics", {})]
    if not found:
        return None
    its = found[-1]
    words = (
        f"`make bench-exposures-killed`: {its['delivered']:,.0f} lists ({its['lists/s']:,.0f} a second, deaths "
        f"included) and {its['accepted']:,.0f} clicks accepted while SIGKILL took workers, the writer or the whole "
        f"service, {its['kills']:.0f} times, and {its['unanswered']:.0f} requests got no answer. Lost: "
        f"**{its['exposures lost']:.0f} exposures, {its['outcomes lost']:.0f} outcomes**; written twice: "
        f"{its['exposures written twice']:.0f} and {its['outcomes written twice']:.0f}. The report of it, from "
        f"{its['files']:.0f} files, took {its['report, s']:.2f} s."
    )
    return f"## Exposures while the service is killed\n\n{words}"


def asked(line: Line) -> str:
    """The bounds; nothing is asked of a rule that is known to fail."""
    low, high = line["asked"]["low"], line["asked"]["high"]
    if (low, high) == (0, 1):
        return ""
    return f"<= {percent(high, line)}" if low == 0 else f"{percent(low, line)} to {percent(high, line)}"


def percent(share: float, line: Line) -> str:
    """Two places; three where what is asked is itself that small."""
    return f"{100 * share:.{3 if line['asked']['high'] < 0.01 else 2}f} %"
