"""The reproduction as Markdown: what the papers print, what others measured, and what our result lines say."""

import csv
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from experiments import ABLATION, DEFAULT, FILES, NOISE, PAPER, PUBLISHED_NAMES, SENSITIVITY, Experiment, experiments
from pages import header, row
from progress import Run, comparison, is_current, pair, sampled

PUBLISHED = Path(__file__).parent / "published.csv"
FIGURES = Path(__file__).parent.parent / "docs/figures"
FULL = ("HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20")
SAMPLED = ("HR@1", "HR@5", "HR@10", "NDCG@5", "NDCG@10", "MRR")
DIFFERENCE = "NDCG@20, paired bootstrap, 95 %"
TEMPORAL = "global temporal"  # how published.csv begins the protocol's name
INTRODUCTION = """## Reproduction

`make reproduce DATASET=...` fills these tables. Above each row of ours (**bold**) stand the paper's own numbers, then \
released weights and independent runs, each with its source. `paper` configurations have the papers' equations and \
hyper-parameters on real positions, one sampled negative, and are chosen on validation NDCG@20. Ours are means over \
seeds with their standard deviation where there are several. Full-catalogue ranking, history masked, last item; \
Beauty-54k also under its paper's 100 sampled negatives."""
Line = dict[str, Any]
Published = list[dict[str, str]]


def reproduction(lines: list[Line]) -> str:
    """All datasets."""
    published = list(csv.DictReader(PUBLISHED.read_text().splitlines()))
    parts = [of_dataset(dataset, lines, published) for dataset in FILES]
    return "\n\n".join([INTRODUCTION, *parts, temporal(lines, published)])


def of_dataset(dataset: str, lines: list[Line], published: Published) -> str:
    """One dataset: papers, defaults, ablations, and what lies around them."""
    tested = [line for line in lines if line.get("dataset") == dataset and line.get("split") == "test"]
    ours = [line for line in tested if not is_temporal(line)]
    theirs = [entry for entry in published if entry["dataset"] == PUBLISHED_NAMES[dataset]]
    theirs = [entry for entry in theirs if not entry["protocol"].startswith(TEMPORAL)]
    plan = experiments(dataset)
    parts = [f"### {PUBLISHED_NAMES[dataset]}"]
    for name in (PAPER, DEFAULT, ABLATION, SENSITIVITY, NOISE):
        chosen = [experiment for experiment in plan if experiment.table == name]
        loose = others(theirs, {experiment.published for experiment in plan}) if name == PAPER else []
        if chosen:
            heading = [] if name == PAPER else ["#### " + name.capitalize()]
            parts += [*heading, table(dataset, chosen, ours, theirs, loose)]
    return "\n\n".join(parts + figures(dataset))


def figures(dataset: str) -> list[str]:
    """Those that `figures.py` has drawn."""
    return [
        f"![{path.stem.replace('-', ' ')}](figures/{path.name})" for path in sorted(FIGURES.glob(f"*-{dataset}.svg"))
    ]


def table(dataset: str, plan: list[Experiment], ours: list[Line], theirs: Published, loose: list[str]) -> str:
    """The rows of `loose` names and of our baselines, then each experiment below what is published of it."""
    metrics = SAMPLED if dataset == "beauty-54k" else FULL
    is_compared = any(experiment.against for experiment in plan)
    rows = header(("who", *metrics, *([DIFFERENCE] if is_compared else [])))
    rows += [row for name in loose for row in published_rows(theirs, name, metrics)]
    rows += baseline_rows(ours, metrics) if plan[0].table == PAPER else []
    for experiment in plan:
        rows += published_rows(theirs, experiment.published, metrics)
        compared = difference(Run(dataset, experiment, experiment.seeds[0]), ours)
        rows.append(own_row(dataset, experiment, ours, metrics) + (f" {compared} |" if is_compared else ""))
        if experiment.sampled:
            rows.append(own_row(dataset, experiment, ours, FULL, note="full ranking: " + ", ".join(FULL)))
    return "\n".join(rows)


def others(theirs: Published, shown: set[str | None]) -> list[str]:
    """The names of independent and older methods, which have no configuration here; the baselines are measured here."""
    names = dict.fromkeys(entry["method"] for entry in theirs)
    return [name for name in names if name not in shown and name != "popularity" and "co-occurrence" not in name]


def baseline_rows(ours: list[Line], metrics: tuple[str, ...]) -> list[str]:
    """What ranks without learning, measured here."""
    found = {line["method"]: line["metrics"] for line in ours if line.get("method") in ("popularity", "cooccurrence")}
    return [
        row(f"**{name}**, ours", *(f"{its[metric]:.4f}" for metric in metrics))
        for name, its in found.items()
        if all(metric in its for metric in metrics)
    ]


def published_rows(theirs: Published, name: str | None, metrics: tuple[str, ...]) -> list[str]:
    """One row a source."""
    own = [entry for entry in theirs if entry["method"] == name]
    rows = []
    for source in dict.fromkeys(entry["source"] for entry in own):
        values = {entry["metric"]: entry["value"] for entry in own if entry["source"] == source}
        cells = [f"{float(values[metric]):.4f}" if metric in values else "" for metric in metrics]
        rows.append(row(f"{name} ({source})", *cells))
    return rows


def own_row(dataset: str, experiment: Experiment, ours: list[Line], metrics: tuple[str, ...], note: str = "") -> str:
    """Mean and standard deviation over the seeds, or the command that would fill the row."""
    found, is_old = newest_by_seed(experiment, ours)
    named = {metric: f"sampled100/{metric}" if metrics is SAMPLED else metric for metric in metrics}
    if metrics is SAMPLED:
        found = [line for line in (sampled(one, ours) for one in found) if line]
    label = f"**{experiment.row}**" + (f" ({note})" if note else "")
    if not found:
        command = f"python benchmarks/reproduce.py {dataset} --only '{experiment.name}'"
        return row(label, f"not run: `{command}`", *[""] * (len(metrics) - 1))
    seeds = f"{len(found)} seed" + ("s" if len(found) > 1 else "")
    cells = [spread([line["metrics"][named[metric]] for line in found]) for metric in metrics]
    return row(f"{label}, ours, {seeds}" + (", before its configuration changed" if is_old else ""), *cells)


def difference(run: Run, ours: list[Line]) -> str:
    """The paired bootstrap over users against the whole method, with its 95 % interval."""
    bundles = pair(run, ours)
    line = comparison(bundles, ours) if bundles else None
    if line is None:
        return ""
    found = line["NDCG@20"]
    return f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}] to {run.experiment.against}"


def newest_by_seed(experiment: Experiment, ours: list[Line]) -> tuple[list[Line], bool]:
    """The last line of every seed, whatever the plan asks for; older configurations only where there is no other."""
    found = [line for line in ours if experiment.matches(line)]
    current = [line for line in found if is_current(line, experiment)]
    newest = {line["seed"]: line for line in current or found}
    return [newest[seed] for seed in sorted(newest)], not current


def spread(values: list[float]) -> str:
    """Mean ± SD."""
    return f"{mean(values):.4f} ± {stdev(values):.4f}" if len(values) > 1 else f"{values[0]:.4f}"


def is_temporal(line: Line) -> bool:
    """Whether a result line is of a dataset that holds out the newest tenth of the time."""
    return bool(line.get("holdout") == "temporal")


def temporal(lines: list[Line], published: Published) -> str:
    """The global temporal split: published numbers, and ours where a log with timestamps was prepared for it."""
    words = (
        "The newest tenth of all interactions tests: each user's last item after the cut, asked with all before it. It "
        "needs timestamps, which the public text files above do not carry: "
        "`intently-train prepare LOG.csv --holdout temporal --out data/NAME`, then `intently-train run sasrec --data "
        "data/NAME --out bundles --results benchmarks/results/temporal-NAME.jsonl`."
    )
    theirs = [entry for entry in published if entry["protocol"].startswith(TEMPORAL)]
    rows = header(("dataset", "who", *FULL))
    for dataset, name in dict.fromkeys((entry["dataset"], entry["method"]) for entry in theirs):
        own = [entry for entry in theirs if entry["dataset"] == dataset]
        rows += [f"| {dataset} " + line for line in published_rows(own, name, FULL)]
    ours = [line for line in lines if is_temporal(line) and line.get("split") == "test" and "HR@20" in line["metrics"]]
    newest = {(line["dataset"], line["method"], line.get("next_item_loss"), line.get("seed")): line for line in ours}
    for (dataset, method, loss, seed), line in newest.items():
        who = f"**{method}**" + (f", {loss}" if loss else "") + (f", seed {seed}" if seed else "") + ", ours"
        rows.append(row(dataset, who, *(f"{line['metrics'][metric]:.4f}" for metric in FULL)))
    return "### Global temporal split\n\n" + words + "\n\n" + "\n".join(rows)
