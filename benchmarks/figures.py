"""Draw the figures of docs/benchmarks.md from result lines, as SVG into docs/figures.

    python benchmarks/figures.py
    python benchmarks/figures.py --bundle bundles/s4rec-beauty-... --data data/beauty    # adds the map of sequences

A figure whose results are missing is left out, and said so.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from experiments import METHODS, experiments

matplotlib.use("agg")
from matplotlib import pyplot  # after the choice of the backend
from matplotlib.axes import Axes

HERE = Path(__file__).parent
FIGURES = HERE.parent / "docs/figures"
SEQUENCES = 4000  # on the map
Line = dict[str, Any]


def main() -> None:
    """Draw what can be drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="beauty")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    FIGURES.mkdir(parents=True, exist_ok=True)
    lines = [
        json.loads(line)
        for path in sorted((HERE / "results").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    ours = [line for line in lines if line.get("dataset") == arguments.dataset and line.get("split") == "test"]
    dataset = arguments.dataset
    draw(f"head-tail-{dataset}", head_and_tail, paper_runs(ours, dataset))
    draw(f"head-rates-{dataset}", head_rates, paper_runs(ours, dataset))
    draw(f"convergence-{dataset}", convergence, paper_runs(ours, dataset))
    draw(f"noise-{dataset}", noise, by_number(ours, dataset, "noise"))
    draw(f"sensitivity-{dataset}", sensitivity, by_number(ours, dataset, "sensitivity"))
    draw("intent-seconds", intent_seconds, [line for line in lines if line["kind"] == "training-speed"])
    if arguments.bundle and arguments.data:
        draw(f"map-{dataset}", lambda axes, _: intent_map(axes, arguments.bundle, arguments.data), [{}])


def draw(name: str, paint: Callable[[Axes, list[Any]], None], content: list[Any]) -> None:
    """One figure, if there is something to show."""
    if not content:
        print(f"{name}: no results yet")
        return
    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    paint(axes, content)
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)
    print(f"wrote {FIGURES / name}.svg")


def paper_runs(ours: list[Line], dataset: str) -> list[Line]:
    """The paper configuration of each method, the last run of it."""
    plan = [experiment for experiment in experiments(dataset) if experiment.table == "papers"]
    found = [[line for line in ours if experiment.matches(line)] for experiment in plan]
    return sorted((lines[-1] for lines in found if lines), key=lambda line: METHODS.index(line["method"]))


def by_number(ours: list[Line], dataset: str, table: str) -> list[tuple[str, str, float, float]]:
    """(method, option, its value, NDCG@20) of every run in which one number was changed."""
    points = []
    for experiment in experiments(dataset):
        found = [line for line in ours if experiment.table == table and experiment.matches(line)]
        if found:
            option, _, value = experiment.settings[0].partition("=")
            points.append((found[-1]["method"], option.split(".")[-1], float(value), found[-1]["metrics"]["NDCG@20"]))
    return points


def head_and_tail(axes: Axes, lines: list[Line]) -> None:
    """Accuracy of the longest fifth of the sequences and of the rest (S4Rec Fig. 4)."""
    for offset, part in ((-0.2, "head"), (0.2, "tail")):
        values = [line["metrics"][f"{part}/NDCG@20"] for line in lines]
        bars = axes.bar([place + offset for place in range(len(lines))], values, 0.36, label=part)
        axes.bar_label(bars, fmt="%.3f", fontsize=7)
    axes.set_xticks(range(len(lines)), [line["method"] for line in lines])
    axes.set(ylabel="test NDCG@20")
    axes.legend(frameon=False, title="sequences")


def head_rates(axes: Axes, lines: list[Line]) -> None:
    """Share of head sequences in each intent (S4Rec Fig. 3): compact boxes mean intents that ignore length."""
    axes.boxplot(
        [line["head_rates"] for line in lines], tick_labels=[line["method"] for line in lines], showfliers=False
    )
    axes.axhline(0.2, color="0.6", linewidth=0.8, linestyle="--")
    axes.set(ylabel="head rate of an intent", ylim=(0, 1))


def convergence(axes: Axes, lines: list[Line]) -> None:
    """Validation accuracy by epoch."""
    for line in lines:
        axes.plot(*zip(*line["validation_curve"], strict=True), label=line["method"])
    axes.set(xlabel="epoch", ylabel="validation NDCG@20")
    axes.legend(frameon=False)


def noise(axes: Axes, points: list[tuple[str, str, float, float]]) -> None:
    """Accuracy by share of replaced training items."""
    for method in dict.fromkeys(point[0] for point in points):
        own = sorted((share, score) for name, _, share, score in points if name == method)
        axes.plot(*zip(*own, strict=True), marker="o", label=method)
    axes.set(xlabel="share of training items replaced", ylabel="test NDCG@20", ylim=(0, None))
    axes.legend(frameon=False)


def sensitivity(axes: Axes, points: list[tuple[str, str, float, float]]) -> None:
    """Accuracy by the value of one option at a time."""
    for method, option in dict.fromkeys(point[:2] for point in points):
        own = sorted((value, score) for name, chosen, value, score in points if (name, chosen) == (method, option))
        axes.plot(*zip(*own, strict=True), marker="o", label=f"{method} {option}")
    axes.set(xlabel="value", ylabel="test NDCG@20", xscale="symlog")
    axes.legend(frameon=False, fontsize=7)


def intent_seconds(axes: Axes, lines: list[Line]) -> None:
    """Seconds of an epoch: K-means before it (iclrec) against online clustering within it (s4rec, elcrec)."""
    newest = {line["method"]: line["metrics"] for line in lines if line["next_item_loss"] == "bce"}
    names = [name for name in METHODS if name in newest]
    intents = [newest[name]["seconds_intents"] for name in names]
    rest = [newest[name]["seconds_per_epoch"] - own for name, own in zip(names, intents, strict=True)]
    axes.barh(names, rest, label="steps and validation")
    axes.barh(names, intents, left=rest, label="K-means before the epoch")
    axes.set(xlabel="seconds an epoch (bce)")
    axes.legend(frameon=False)


def intent_map(axes: Axes, bundle: Path, data: Path) -> None:
    """t-SNE of query vectors, coloured by strongest intent; the twelve largest intents have a colour of their own."""
    import numpy as np
    from sklearn.manifold import TSNE

    from service.bundle.files import open_bundle
    from service.inference.recommender import Recommender
    from training.prepared import load_prepared
    from training.sequences import training_sequences

    training = training_sequences(load_prepared(data))
    chosen = np.random.default_rng(1).permutation(len(training))[:SEQUENCES]
    recommender = Recommender(open_bundle(bundle))
    encodings = [recommender.encode([training[int(n)] for n in part]) for part in np.array_split(chosen, 16)]
    vectors = np.concatenate([encoding.query_vectors.mean(axis=1) for encoding in encodings])
    intents = np.concatenate([encoding.intent_weights.argmax(axis=1) for encoding in encodings])
    places = TSNE(metric="cosine", init="random", random_state=1).fit_transform(vectors)
    largest = np.bincount(intents).argsort()[::-1][:12]
    others = ~np.isin(intents, largest)
    axes.scatter(*places[others].T, s=2, color="0.85")
    for intent in largest:
        axes.scatter(*places[intents == intent].T, s=4, label=str(intent))
    axes.set(xticks=[], yticks=[])
    axes.legend(frameon=False, title="intent", ncols=2, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


if __name__ == "__main__":
    main()
