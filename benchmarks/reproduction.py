"""The reproduction as Markdown: what the papers print, what others measured, and what our result lines say."""

import csv
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from experiments import ABLATION, DEFAULT, FILES, NOISE, PAPER, PUBLISHED_NAMES, SENSITIVITY, Experiment, experiments

PUBLISHED = Path(__file__).parent / "published.csv"
FIGURES = Path(__file__).parent.parent / "docs/figures"
BASELINES = ("popularity", "cooccurrence")
FULL = ("HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20")
SAMPLED = ("HR@1", "HR@5", "HR@10", "NDCG@5", "NDCG@10", "MRR")
Line = dict[str, Any]


def reproduction(lines: list[Line]) -> str:
    """All datasets."""
    published = list(csv.DictReader(PUBLISHED.read_text().splitlines()))
    parts = [
        "## Reproduction",
        "`make reproduce DATASET=...` fills these tables. `paper` configurations have the papers' equations and "
        "hyper-parameters on real positions, one sampled negative, and are chosen on validation NDCG@20. Ours are "
        "means over seeds with their standard deviation where there are several.",
    ]
    return "\n\n".join(parts + [of_dataset(dataset, lines, published) for dataset in FILES])


def of_dataset(dataset: str, lines: list[Line], published: list[dict[str, str]]) -> str:
    """One dataset: papers, defaults, ablations, and what lies around them."""
    ours = [line for line in lines if line.get("dataset") == dataset and line.get("split") == "test"]
    theirs = [entry for entry in published if entry["dataset"] == PUBLISHED_NAMES[dataset]]
    plan = experiments(dataset)
    parts = [f"### {PUBLISHED_NAMES[dataset]}", compared(dataset, plan, ours, theirs)]
    for table in (DEFAULT, ABLATION, SENSITIVITY, NOISE):
        chosen = [experiment for experiment in plan if experiment.table == table]
        if chosen and table == ABLATION:
            parts.append("#### " + table.capitalize() + "\n\n" + compared(dataset, chosen, ours, theirs))
        elif chosen:
            parts.append("#### " + table.capitalize() + "\n\n" + only_ours(dataset, chosen, ours))
    return "\n\n".join(parts + figures(dataset))


def figures(dataset: str) -> list[str]:
    """Those that `figures.py` has drawn."""
    return [
        f"![{path.stem.replace('-', ' ')}](figures/{path.name})" for path in sorted(FIGURES.glob(f"*-{dataset}.svg"))
    ]


def compared(dataset: str, plan: list[Experiment], ours: list[Line], theirs: list[dict[str, str]]) -> str:
    """Rows of the papers and of others above each of ours."""
    metrics = SAMPLED if dataset == "beauty-54k" else FULL
    rows = header(("who", *metrics))
    shown = [experiment for experiment in plan if experiment.table in (PAPER, ABLATION)]
    if any(experiment.table == PAPER for experiment in shown):
        shown = [experiment for experiment in shown if experiment.table == PAPER]
        rows += others(theirs, {experiment.published for experiment in plan}, metrics)
        rows += baseline_rows(ours, metrics)
    for experiment in shown:
        rows += published_rows(theirs, experiment.published, metrics)
        rows.append(own_row(dataset, experiment, ours, metrics))
        if experiment.sampled:
            rows.append(own_row(dataset, experiment, ours, FULL, note="full ranking: " + ", ".join(FULL)))
    return "\n".join(rows)


def only_ours(dataset: str, plan: list[Experiment], ours: list[Line]) -> str:
    """Rows that no paper prints."""
    return "\n".join([*header(("who", *FULL)), *(own_row(dataset, experiment, ours, FULL) for experiment in plan)])


def header(columns: tuple[str, ...]) -> list[str]:
    """The first two lines of a Markdown table."""
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]


def others(theirs: list[dict[str, str]], shown: set[str | None], metrics: tuple[str, ...]) -> list[str]:
    """Independent and older methods, which have no configuration here."""
    names = list(dict.fromkeys(entry["method"] for entry in theirs if "global temporal" not in entry["protocol"]))
    names = [name for name in names if name != "popularity" and not name.startswith("co-occurrence")]  # measured here
    loose = [
        name
        for name in names
        if name not in shown and "ablation" not in name and not name.startswith(("SR+", "S4Rec w/o"))
    ]
    return [row for name in loose for row in published_rows(theirs, name, metrics)]


def baseline_rows(ours: list[Line], metrics: tuple[str, ...]) -> list[str]:
    """What ranks without learning, measured here."""
    found = {line["method"]: line["metrics"] for line in ours if line.get("method") in BASELINES}
    return [
        "| " + " | ".join([f"**{name}**, ours", *(f"{its[metric]:.4f}" for metric in metrics)]) + " |"
        for name, its in found.items()
        if all(metric in its for metric in metrics)
    ]


def published_rows(theirs: list[dict[str, str]], name: str | None, metrics: tuple[str, ...]) -> list[str]:
    """One row a source."""
    own = [entry for entry in theirs if entry["method"] == name and "global temporal" not in entry["protocol"]]
    rows = []
    for source in dict.fromkeys(entry["source"] for entry in own):
        values = {entry["metric"]: entry["value"] for entry in own if entry["source"] == source}
        cells = [f"{float(values[metric]):.4f}" if metric in values else "" for metric in metrics]
        rows.append("| " + " | ".join([f"{name} ({source})", *cells]) + " |")
    return rows


def own_row(dataset: str, experiment: Experiment, ours: list[Line], metrics: tuple[str, ...], note: str = "") -> str:
    """Mean and standard deviation over the seeds, or the command that would fill the row."""
    found = [line["metrics"] for line in newest_by_seed(experiment, ours)]
    named = {metric: f"sampled100/{metric}" if metrics is SAMPLED else metric for metric in metrics}
    if metrics is SAMPLED:
        bundles = {line.get("bundle_id") for line in newest_by_seed(experiment, ours)}
        found = [
            line["metrics"] for line in ours if line.get("bundle_id") in bundles and "sampled100/MRR" in line["metrics"]
        ]
    label = f"**{experiment.row}**" + (f" ({note})" if note else "")
    if not found:
        command = f"python benchmarks/reproduce.py {dataset} --only '{experiment.name}'"
        return "| " + " | ".join([label, f"not run: `{command}`", *[""] * (len(metrics) - 1)]) + " |"
    seeds = f", {len(found)} seeds" if len(found) > 1 else ""
    cells = [spread([its[named[metric]] for its in found]) for metric in metrics]
    return "| " + " | ".join([f"{label}, ours{seeds}", *cells]) + " |"


def newest_by_seed(experiment: Experiment, ours: list[Line]) -> list[Line]:
    """The last line of every seed that was run, whatever the plan asks for."""
    return list({line["seed"]: line for line in ours if experiment.matches(line)}.values())


def spread(values: list[float]) -> str:
    """Mean ± SD."""
    return f"{mean(values):.4f} ± {stdev(values):.4f}" if len(values) > 1 else f"{values[0]:.4f}"
