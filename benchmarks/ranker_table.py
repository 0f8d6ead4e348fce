"""The second stage by user group, as tables: what it gains, who is in which cluster, what it costs."""

from typing import Any

from pages import header, row

Line = dict[str, Any]
VARIANTS = ("first stage", "B", "B+ELCM")
WORDS = (
    "`make bench-ranker`: ELCRec section 5 on planted users whose intents drift and whose clicks hang on other things "
    "in each user group (benchmarks/planted_clicks.py). B is a mixture of experts whose gates see the user alone, "
    "B+ELCM one whose gates see learnable clusters of users too; both learn from the service's event log and exposures "
    "and are asked through their bundles. AUC: of clicks and conversions drawn as if every place were looked at, on "
    "users that the ranker has not seen, over the lists that were shown. Clicks a list: what the lists that the engine "
    "makes with each bundle can expect. The difference is B+ELCM - B over the seeds, with its paired 95 % interval."
)


def ranker(lines: list[Line]) -> str | None:
    """The newest line of each user group and metric; None before anything was measured."""
    ours = [line for line in lines if line["kind"] == "experiment" and "ranker" in line]
    gains = {(line["method"], line["group"]): line for line in ours if "group" in line}
    if not gains:
        return None
    rows = header(("metric", "user group", *VARIANTS, "B+ELCM - B", "seeds"))
    for (metric, group), line in sorted(gains.items(), key=lambda one: one[0][0]):
        found = line["metrics"]
        interval = f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
        rows.append(row(metric, group, *(f"{found[name]:.4f}" for name in VARIANTS), interval, str(line["seeds"])))
    parts = ["## Second stage", WORDS, "\n".join(rows), verdict(list(gains.values()))]
    newest = {line["ranker"]: line for line in ours}
    parts += [clusters(newest["clusters"])] if "clusters" in newest else []
    parts += [cost(newest["time"])] if "time" in newest else []
    commands = sorted({line["command"] for line in ours})
    return "\n\n".join([*parts, f"Command: `{'`, `'.join(commands)}`."])


def verdict(lines: list[Line]) -> str:
    """How many differences are none that chance does not make."""
    better = [line for line in lines if line["metrics"]["low"] > 0]
    worse = [line for line in lines if line["metrics"]["high"] < 0]
    rest = len(lines) - len(better) - len(worse)
    return (
        f"Of {len(lines)} differences B+ELCM is better in {named(better)} and worse in {named(worse)}; the interval of "
        f"the other {rest} holds 0 (they are not corrected for their number: about one in twenty does not by chance)."
    )


def named(lines: list[Line]) -> str:
    """A count, and which they are."""
    which = ", ".join(f"{line['method']} of {line['group']}" for line in lines)
    return f"{len(lines)} ({which})" if lines else "none"


def clusters(line: Line) -> str:
    """The three fullest clusters of each group (ELCRec Fig. 8)."""
    rows = header(("user group", "fullest clusters (share of the group's users)"))
    for group, shares in line["shares"].items():
        best = sorted(range(len(shares)), key=lambda number: -shares[number])[:3]
        rows.append(row(group, ", ".join(f"{number} ({shares[number]:.0%})" for number in best if shares[number])))
    return "Clusters of the last seed's B+ELCM, on the day held out:\n\n" + "\n".join(rows)


def cost(line: Line) -> str:
    """Of one list."""
    told = ", ".join(f"{name} {value:.2f}" for name, value in line["metrics"].items())
    return f"Milliseconds of the engine for one list asked alone, 100 candidates (median): {told}."
