"""What the service went through, as Markdown: each harm with what its users noticed, and the soak."""

from reproduction import header, row
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
SOAK = "`make bench-soak`, mixed load with a swap of bundles each minute:"


def chaos(lines: list[Line]) -> str:
    """The newest line of each case, then the newest soak."""
    cases = list({line["method"]: line for line in lines if line.get("chaos")}.values())
    soaks = [line for line in lines if "samples" in line]
    parts = []
    if cases:
        table = header(("", *COLUMNS, "besides"))
        table += [row(line["method"], *_cells(line["metrics"])) for line in cases]
        parts += [WORDS, "\n".join(table)]
    if soaks:
        parts += [f"{SOAK} {in_words(soaks[-1]['metrics'])}", "![memory of each process](figures/soak-memory.svg)"]
    return "\n\n".join(parts)


def _cells(metrics: dict[str, float]) -> list[str]:
    besides = {name: value for name, value in metrics.items() if name not in COLUMNS and value}
    return [*(number(metrics[name]) if name in metrics else "" for name in COLUMNS), in_words(besides)]
