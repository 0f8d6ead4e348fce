"""Draw the figures of docs/benchmarks.md from result lines, as SVG into docs/figures.

    python benchmarks/figures.py --dataset toys
    python benchmarks/figures.py --bundle bundles/s4rec-beauty-... --data data/beauty    # adds the map of sequences

A figure whose results are missing is left as it is, and said so.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawing
import numpy as np
from drawing import Line, Point
from experiments import FILES, NOISE, PAPER, SENSITIVITY, experiments
from matplotlib.figure import Figure
from numpy.typing import NDArray
from reproduction import is_temporal, newest_by_seed

from service.bundle.files import newest_bundle, open_bundle
from service.inference.recommender import Recommender

HERE = Path(__file__).parent
FIGURES = HERE.parent / "docs/figures"
SEQUENCES = 4000  # on a map


def main() -> None:
    """Draw what can be drawn."""
    arguments = parsed()
    dataset = arguments.dataset
    FIGURES.mkdir(parents=True, exist_ok=True)
    lines = [
        json.loads(line)
        for path in sorted((HERE / "results").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    ours = [line for line in lines if line.get("dataset") == dataset and line.get("split") == "test"]
    ours = [line for line in ours if not is_temporal(line)]
    papers = paper_runs(ours, dataset)
    draw(f"head-tail-{dataset}", drawing.head_and_tail, papers)
    draw(f"head-rates-{dataset}", drawing.head_rates, papers)
    draw(f"convergence-{dataset}", drawing.convergence, papers)
    draw(f"noise-{dataset}", drawing.noise, by_number(ours, dataset, NOISE))
    draw(f"sensitivity-{dataset}", drawing.sensitivity, by_number(ours, dataset, SENSITIVITY))
    speeds = [line for line in lines if line["kind"] == "training-speed" and line["next_item_loss"] == "bce"]
    draw("intent-seconds", drawing.intent_seconds, speeds)
    draw("serving-curve", drawing.serving_curve, [line for line in lines if "connections" in line])
    draw("soak-memory", drawing.soak_memory, [line for line in lines if "samples" in line])
    for bundle in arguments.bundle:
        draw_map(dataset, bundle, arguments.data)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="beauty", choices=FILES)
    parser.add_argument("--bundle", type=Path, action="append", default=[], help="draw its map; repeatable")
    parser.add_argument("--data", type=Path, help="the prepared dataset of the bundles")
    arguments = parser.parse_args()
    if arguments.bundle and not arguments.data:
        parser.error("--bundle needs --data")
    return arguments


def draw(name: str, paint: Callable[[Figure, list[Any]], None], content: list[Any]) -> None:
    """One figure, if there is something to show."""
    if content:
        save(name, lambda figure: paint(figure, content))
    else:
        print(f"{name}: no results yet")


def save(name: str, paint: Callable[[Figure], None]) -> None:
    """Paint a figure and write it."""
    figure = Figure(figsize=(7, 3.4), facecolor="white")
    paint(figure)
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None}, dpi=150)
    print(f"wrote {FIGURES / name}.svg")


def paper_runs(ours: list[Line], dataset: str) -> list[Line]:
    """The paper configuration of each method, its first seed."""
    plan = [experiment for experiment in experiments(dataset) if experiment.table == PAPER]
    return [found[0] for experiment in plan if (found := newest_by_seed(experiment, ours)[0])]


def by_number(ours: list[Line], dataset: str, table: str) -> list[Point]:
    """Every run in which one number was changed, and the run of the paper's own number; none without the former."""
    plan = [experiment for experiment in experiments(dataset) if experiment.table == table and experiment.varied]
    points, changed = [], set()
    for experiment in plan:
        found = newest_by_seed(experiment, ours)[0]
        if found and experiment.varied:
            points.append((*experiment.varied, found[0]["metrics"]["NDCG@20"]))
            is_changed = experiment.varied[2] != 0 if table == NOISE else bool(experiment.settings)
            changed |= {experiment.varied[:2]} if is_changed else set()
    return [point for point in points if point[:2] in changed]


def draw_map(dataset: str, root: Path, data: Path) -> None:
    """t-SNE of some training sequences, by strongest intent."""
    from sklearn.manifold import TSNE

    from training.prepared import load_prepared
    from training.sequences import training_sequences

    found = newest_bundle(root)
    if found is None:
        print(f"map-{dataset}: {root} holds no bundle")
        return
    bundle, training = open_bundle(found), training_sequences(load_prepared(data))
    chosen = np.random.default_rng(1).permutation(len(training))[:SEQUENCES]
    recommender = Recommender(bundle)
    parts = np.array_split(chosen, 16)
    weights = np.concatenate([recommender.encode([training[int(n)] for n in part]).intent_weights for part in parts])
    vectors = sequence_vectors(recommender.intents.vectors(), weights)
    places = TSNE(metric="cosine", init="random", random_state=1).fit_transform(vectors)
    intents = weights.argmax(axis=1)
    save(f"map-{bundle.manifest.method}-{dataset}", lambda figure: drawing.intent_map(figure, places, intents))


def sequence_vectors(prototypes: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Prototypes (K, D) and intent weights (N, K) -> the vectors (N, D) in which intents are found.

    A bundle does not carry them, but log weight = cosine to the prototype / temperature + a constant of the sequence:
    least squares give them back up to their length.
    """
    basis = np.hstack([prototypes, np.ones((len(prototypes), 1))])
    found: NDArray[np.float64] = np.linalg.lstsq(basis, np.log(np.maximum(weights, 1e-30)).T.astype(np.float64))[0]
    return found[:-1].T


if __name__ == "__main__":
    main()
