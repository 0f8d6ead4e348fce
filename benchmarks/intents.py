"""The intent reports of recorded runs as one table."""

from typing import Any

from pages import header, row

Line = dict[str, Any]
COLUMNS = {
    "intents": ("K", "{:.0f}"),
    "used": ("used", "{:.0f}"),
    "effective": ("effective number", "{:.1f}"),
    "largest_share": ("largest share", "{:.1%}"),
    "length_r2": ("R² with log-length", "{:.2f}"),
    "lift": ("lift", "{:.1f}"),
    "seed_agreement": ("AMI of two seeds", "{:.2f}"),
    "nmi": ("NMI with the truth", "{:.2f}"),
}
WORDS = (
    "The last run of each configuration. Effective number: exp of the entropy of the assignment. Lift: HR@20 of "
    "popularity within the intent divided by HR@20 of global popularity, on held-out next items. The truth is known "
    "of `planted` alone: `intently-train synthesize --out raw`, then `intently-train prepare raw/interactions.csv "
    "--items raw/items.csv --out planted`."
)


def intents(lines: list[Line]) -> str:
    """One row for each dataset, configuration and its settings."""
    found = [line for line in lines if "configuration" in line and line.get("split") == "test"]
    found = [line for line in found if line.get("intent_report")]
    newest = {(line["dataset"], line["configuration"], *line["settings"]): line for line in found}
    rows = header(("dataset", "configuration", *(title for title, _ in COLUMNS.values())))
    rows += [report_row(newest[key]) for key in sorted(newest)]
    return "\n\n".join(["## Intents", WORDS, "\n".join(rows)])


def report_row(line: Line) -> str:
    """The report of a run; a cell is empty where the report has no such entry."""
    report = line["intent_report"]
    cells = [form.format(report[name]) if name in report else "" for name, (_, form) in COLUMNS.items()]
    settings = "".join(f" `{setting}`" for setting in line["settings"])
    return row(line["dataset"], f"{line['configuration']}{settings}", *cells)
