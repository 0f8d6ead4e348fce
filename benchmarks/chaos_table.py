"""What the service went through, as Markdown: harms and runbooks with what users noticed, and the soak."""

from pages import header, row
from serving_table import Line, in_words, number

COLUMNS = (
    "requests",
    "unanswered",
    "503",
    "posts refused",
    "degraded",
    "p99 before, ms",
    "p99 harmed, ms",
    "slowest, ms",
    "breaker open, s",
    "recovered, s",
    "accepted",
    "lost",
    "foreign ids",
)
WORDS = (
    "`make bench-chaos`: two workers and a real redis-server, harmed for some seconds while 16 connections ask on the "
    "same cores. *Unanswered*: no answer within 10 s, or a connection that broke (a killed worker's). *Degraded*: from "
    "what is known without the store. *Recovered*: from the end of the harm until every connection is answered as "
    "before. *Lost*: accepted events that are not stored afterwards. *Foreign ids*: answers that carry another user's."
)
RUNBOOKS = (
    "`make bench-runbooks`: the runbooks of [runbooks.md](runbooks.md), carried out on the same service under the same "
    "load; *harmed* is the time from the first command to the last."
)
SOAK = "`make bench-soak`, mixed load with a swap of bundles each minute:"


def chaos(lines: list[Line]) -> str:
    """The newest line of each case and of each runbook, then the newest soak."""
    soaks = [line for line in lines if "samples" in line]
    parts = []
    for mark, words in (("chaos", WORDS), ("runbook", RUNBOOKS)):
        if cases := list({line["method"]: line for line in lines if line.get(mark)}.values()):
            table = header(("", *COLUMNS, "besides"))
            table += [row(line["method"], *_cells(line["metrics"])) for line in cases]
            busy = max(line.get("load_average", 0.0) for line in cases)
            parts += [words + (f" Load average before: up to {busy:.1f}." if busy else ""), "\n".join(table)]
    if soaks:
        parts += [f"{SOAK} {in_words(soaks[-1]['metrics'])}", "![memory of each process](figures/soak-memory.svg)"]
    return "\n\n".join(parts)


def _cells(metrics: dict[str, float]) -> list[str]:
    besides = {name: value for name, value in metrics.items() if name not in COLUMNS and value}
    return [*(number(metrics[name]) if name in metrics else "" for name in COLUMNS), in_words(besides)]
