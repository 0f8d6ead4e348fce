"""Score published bundles and baselines on a prepared dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import Progress

from service.bundle.files import Bundle, BundleError, newest_bundle, open_bundle
from service.inference.recommender import Recommender
from training.baselines import BASELINES
from training.evaluation import top_rows_of_recommender
from training.metrics import evaluate_lists, hit_rate, ndcg, ranks
from training.prepared import PreparedDataset, load_prepared
from training.sequences import Integers, Split, SplitName, held_out, training_counts, training_sequences
from training.significance import Comparison, paired_bootstrap

COMPARED = {"HR@5": (hit_rate, 5), "HR@20": (hit_rate, 20), "NDCG@5": (ndcg, 5), "NDCG@20": (ndcg, 20)}


@dataclass(frozen=True)
class Scored:
    """The metrics of one bundle or baseline on one split."""

    method: str
    next_item_loss: str | None
    dataset: str
    split: str
    holdout: str
    metrics: dict[str, float]
    bundle_id: str | None = None
    largest_difference: float | None = None  # to the metrics that training wrote into the bundle

    def result(self) -> dict[str, Any]:
        """This as the fields of a result line."""
        return {name: value for name, value in vars(self).items() if value is not None}


def evaluate_bundle(path: Path, data: Path, split: str) -> Scored:
    """Rank the whole catalogue through ONNX Runtime and FAISS. Raises BundleError, ValueError."""
    dataset = load_prepared(data)
    bundle = open_for(path, dataset)
    chosen = split_for(bundle, dataset, split)
    metrics = measure_bundle(bundle, chosen, dataset)
    written = bundle.manifest.metrics.get(split, {})
    differences = [abs(metrics[name] - value) for name, value in written.items() if name in metrics]
    return Scored(
        method=bundle.manifest.method,
        next_item_loss=bundle.manifest.next_item_loss,
        dataset=dataset.name,
        split=split,
        holdout=dataset.holdout,
        metrics=metrics,
        bundle_id=bundle.bundle_id,
        largest_difference=max(differences, default=None),
    )


def measure_bundle(bundle: Bundle, split: Split, dataset: PreparedDataset) -> dict[str, float]:
    """Every metric of a split, through the path that serves."""
    return _metrics(top_rows_of_bundle(bundle, split), split, dataset)


def top_rows_of_bundle(bundle: Bundle, split: Split) -> Integers:
    """The lists that it serves for a split whose rows are its own."""
    recommender = Recommender(bundle)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"evaluating {bundle.bundle_id}", total=len(split.targets))
        return top_rows_of_recommender(recommender, split, lambda done: progress.advance(task, done))


def evaluate_baseline(name: str, data: Path, split: str) -> Scored:
    """Score a baseline by name. Raises ValueError for an unknown one."""
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}; there are {', '.join(BASELINES)}")
    dataset = load_prepared(data)
    chosen = split_of(dataset, split)
    lists = BASELINES[name](training_sequences(dataset), len(dataset.item_ids), chosen)
    metrics = _metrics(lists, chosen, dataset)
    return Scored(name, None, dataset.name, split, dataset.holdout, metrics)


def compare_bundles(first: Path, second: Path, data: Path, split: str) -> dict[str, Comparison]:
    """Paired bootstrap of first - second over the users of the split."""
    dataset = load_prepared(data)
    chosen = split_of(dataset, split)
    a, b = (ranks(top_rows_of_bundle(open_for(path, dataset), chosen), chosen.targets) for path in (first, second))
    return {
        name: paired_bootstrap(measure(a, cutoff), measure(b, cutoff)) for name, (measure, cutoff) in COMPARED.items()
    }


def open_for(path: Path, dataset: PreparedDataset) -> Bundle:
    """The bundle, if it speaks of this dataset's items in the same rows."""
    found = newest_bundle(path)
    if found is None:
        raise BundleError(f"{path} holds no bundle")
    bundle = open_bundle(found)
    if bundle.manifest.data_fingerprint != dataset.fingerprint:
        raise ValueError(f"{bundle.bundle_id} was trained on other data than {dataset.name}: the metrics would be void")
    return bundle


def split_for(bundle: Bundle, dataset: PreparedDataset, name: str) -> Split:
    """The users by whom training judged the bundle: all of a split, or `training.evaluated_users` of them."""
    return split_of(dataset, name).spaced(bundle.manifest.config.get("training", {}).get("evaluated_users"))


def split_of(dataset: PreparedDataset, name: str) -> Split:
    """The split that a command names. Raises ValueError for another name."""
    for known in get_args(SplitName):
        if name == known:
            return held_out(dataset, known)
    raise ValueError(f"--split must be validation or test, got {name!r}")


def _metrics(lists: Integers, split: Split, dataset: PreparedDataset) -> dict[str, float]:
    counts = training_counts(training_sequences(dataset), len(dataset.item_ids))
    return evaluate_lists(lists, split.targets, split.histories.lengths, counts)
