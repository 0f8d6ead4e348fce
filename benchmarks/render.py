"""Render docs/benchmarks.md and the numbers in docs/methods, docs/scaling.md and README.md from benchmarks/results.

The newest line of each experiment counts.

python benchmarks/render.py
"""

import json
from pathlib import Path
from typing import Any

from blends import blends
from chaos_table import chaos
from experiment_table import experiment_cost, experiment_levels, experiment_losses, experiment_report
from intents import intents
from method_table import write_pages
from pages import header, row, write_part
from ranker_table import ranker
from replay_table import replays
from reproduction import is_temporal, reproduction
from scale_table import scaling
from serving_table import headline, serving
from store_table import stores

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs/benchmarks.md"
SECONDS = PAGE.parent / "figures/intent-seconds.svg"
REFUSALS = """## Refusals

`make bench-refusals`: schemathesis with all its checks over the documents of both ports (benchmarks/conformance.py
names the two that do not fit the calls for a user); and a bundle damaged in every way that can be counted, which must
be refused with a sentence before anything of it is parsed.

"""
# fields that only lines of tables of their own have
KNOWN_BY = {"blended", "round", "connections", "items", "stress", "chaos", "runbook", "samples", "events_a_post"}
SHOWN = ("HR@5", "HR@20", "NDCG@5", "NDCG@20")


def main() -> None:
    """Write the pages."""
    lines = [json.loads(line) for path in sorted(RESULTS.glob("*.jsonl")) for line in path.read_text().splitlines()]
    scale = [line for line in lines if line["kind"] == "scale"]
    lines = [line for line in lines if line["kind"] != "scale"]
    parts = ["# Benchmarks", "Rendered by `make render` from `benchmarks/results`; every row names its command."]
    parts += [found] if (found := newcomer_table(lines)) else []
    parts.append(reproduction(lines))
    parts.append(intents(lines))
    parts.append(blends(lines))
    ranked = [line for line in lines if line["kind"] == "accuracy" and "HR@20" in line.get("metrics", {})]
    ranked = [line for line in ranked if "configuration" not in line]
    ranked = [line for line in ranked if not is_temporal(line)]
    ranked = [line for line in ranked if "blended" not in line]
    parts.append(accuracy_table(newest(ranked)))
    speeds = [line for line in lines if line["kind"] == "training-speed"]
    parts.append(speed_table(newest(speeds, by=("method", "next_item_loss"))))
    parts.append(serving(lines))
    parts += [found] if (found := chaos(lines)) else []
    parts.append(stores(lines))
    parts += [found] if (found := experiment_levels(lines)) else []
    parts += [found] if (found := experiment_report(lines)) else []
    parts += [found] if (found := experiment_cost(lines)) else []
    parts += [found] if (found := experiment_losses(lines)) else []
    parts += [found] if (found := ranker(lines)) else []
    parts += [found] if (found := replays(lines)) else []
    refused = [line for line in lines if "failures" in line.get("metrics", {})]
    if refused:
        parts.append(REFUSALS + "\n".join(f"- {tried(line)}" for line in newest(refused, by=("method",))))
    shown = {id(line) for line in ranked + speeds + refused}
    others = [line for line in lines if "metrics" in line and "configuration" not in line and id(line) not in shown]
    others = [line for line in others if line["kind"] not in ("store", "experiment", "newcomer")]
    others = [line for line in others if "sampled100/MRR" not in line["metrics"] and not is_temporal(line)]
    others = [line for line in others if not KNOWN_BY & set(line)]
    parts.append("## Other measurements\n\n" + "\n".join(f"- {described(line)}" for line in newest(others)))
    PAGE.write_text("\n\n".join(parts) + "\n")
    if speed := headline(lines + scale):
        write_part(PAGE.parent.parent / "README.md", "speed", speed)
    write_pages(PAGE.parent / "methods", lines)
    scaling(scale)
    print(f"wrote {PAGE}")


def newcomer_table(lines: list[dict[str, Any]]) -> str | None:
    """The newest run of each step; None before there is one."""
    found = newest([line for line in lines if line["kind"] == "newcomer"], by=("step",))
    if not found:
        return None
    rows = header(("step", "minutes", "tests passed", "skipped", "machine", "date"))
    for line in found:
        metrics, machine = line["metrics"], f"{line['machine']['cpu']}, {line['machine']['cores']} cores"
        tests = (f"{metrics[name]:,}" if name in metrics else "" for name in ("passed", "skipped"))
        rows.append(row(f"`{line['step']}`", f"{metrics['seconds'] / 60:.1f}", *tests, machine, line["date"][:10]))
    words = "`make bench-newcomer`: on a new clone, with what pip and apt have cached."
    return "\n\n".join(["## A newcomer's run", words, "\n".join(rows)])


def accuracy_table(lines: list[dict[str, Any]]) -> str:
    """One row a run: full-catalogue ranking, history masked, leave-one-out."""
    header = ["dataset", "split", "method", "loss", "seed", *SHOWN, "epochs", "s/epoch", "MB", "command"]
    rows = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for line in lines:
        facts = [line.get(name) for name in ("dataset", "split", "method", "next_item_loss", "seed")]
        scores = [f"{line['metrics'][name]:.4f}" for name in SHOWN]
        cost = [line.get("epochs"), rounded(line.get("seconds_per_epoch"), 1), rounded(line.get("peak_memory_mb"), 0)]
        cells = ["" if cell is None else str(cell) for cell in [*facts, *scores, *cost]]
        rows.append("| " + " | ".join([*cells, f"`{line['command']}`"]) + " |")
    return "## Accuracy\n\nFull-catalogue ranking, history masked, leave-one-out.\n\n" + "\n".join(rows)


def speed_table(lines: list[dict[str, Any]]) -> str:
    """One row a method and loss, the usual code first."""
    header = ["method", "loss", "s/epoch", "of it intents", "sequences/s", "MB", "x faster than the usual code"]
    names = ("seconds_per_epoch", "seconds_intents", "sequences_per_second", "peak_memory_mb", "speedup")
    rows = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for line in lines:
        cells = [line["method"], line["next_item_loss"], *(f"{line['metrics'][name]:.1f}" for name in names)]
        rows.append("| " + " | ".join(cells) + " |")
    machine = {(line["machine"]["cpu"], line["machine"]["cores"]) for line in lines}
    where = "; ".join(f"{cpu}, {cores} cores" for cpu, cores in sorted(machine))
    words = f"`make bench-training`: hidden 64, one layer, batch 256, everything included ({where})."
    picture = "\n\n![seconds of an epoch](figures/intent-seconds.svg)" if SECONDS.is_file() else ""
    return "## Training speed\n\n" + words + "\n\n" + "\n".join(rows) + picture


def described(line: dict[str, Any]) -> str:
    """One measurement in words."""
    metrics = ", ".join(f"{name} {rounded(value, 5)}" for name, value in line["metrics"].items())
    return f"{line.get('dataset')}, {line.get('method')}: {metrics} (`{line['command']}`, {line['date'][:10]})"


def tried(line: dict[str, Any]) -> str:
    """How much of one kind was tried, and how often it was not as it should be."""
    return f"{line['method']}: " + ", ".join(f"{name} {value:,}" for name, value in line["metrics"].items())


def newest(lines: list[dict[str, Any]], by: tuple[str, ...] = ("command", "dataset", "split")) -> list[dict[str, Any]]:
    """The last line of each command, dataset and split."""
    return list({tuple(line.get(name) for name in by): line for line in lines}.values())


def rounded(value: float | None, digits: int) -> str | None:
    """Short enough for a table."""
    return None if value is None else f"{value:.{digits}f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
