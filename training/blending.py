"""A bundle that blends co-occurrence into its encoder's scores, made of one that does not."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle.files import COOCCURRENCE, Bundle, write_bundle
from service.bundle.manifest import Blend
from service.inference.cooccurrence import Cooccurrence, Neighbours, neighbours_npz
from service.inference.encoder import Encoding
from service.inference.recommender import Recommender
from training.baselines import DECAY, cooccurrences
from training.bundle_evaluation import measure_bundle, open_for
from training.evaluation import BATCH
from training.metrics import DEPTH, evaluate_lists
from training.prepared import PreparedDataset, load_prepared
from training.sequences import SPLITS, Integers, Sequences, Split, held_out, training_counts, training_sequences

KEPT = 100  # neighbours of each item, the strongest
STEPS = [0.0, *(2.0**power for power in range(-4, 5))]  # weights to try, as multiples of `_unit`
CRITERION = "NDCG@20"


@dataclass(frozen=True)
class Blended:
    """The new bundle, the criterion on validation by weight, and the metrics by split as it serves."""

    path: Path
    tried: dict[float, float]
    weight: float
    metrics: dict[str, dict[str, float]]
    parent: str

    def described(self) -> dict[str, Any]:
        """This as the fields of a result line."""
        return {"bundle_id": self.path.name, "blended": self.parent, "weight": self.weight, "tried": self.tried}


class NoGainError(ValueError):
    """What was to be added does not rank better."""


def blend(path: Path, data: Path, root: Path, progress: Callable[[str], None] = lambda _: None) -> Blended:
    """Choose the weight on the validation split, measure both splits, write the bundle.

    Raises BundleError, NoGainError, and ValueError for a bundle of other data or with a blend already.
    """
    dataset = load_prepared(data)
    bundle = open_for(path, dataset)
    for name, there in (("blend", bundle.manifest.blend), ("ranker", bundle.manifest.ranker)):
        if there is not None:  # a ranker was trained on scores without the blend
            raise ValueError(f"{bundle.bundle_id} has a {name} already: take {bundle.manifest.parent}")
    training = training_sequences(dataset)
    neighbours = strongest_neighbours(training, len(dataset.item_ids), KEPT)
    tried = _tried(bundle, neighbours, held_out(dataset, "validation"), dataset, progress)
    weight = max(tried, key=lambda weight: tried[weight])
    if weight == 0:
        raise NoGainError(f"{bundle.bundle_id}: no weight of co-occurrence ranks better on validation than none")
    return _written(bundle, Blend(weight=weight, decay=DECAY), neighbours, tried, dataset, root)


def strongest_neighbours(training: Sequences, items: int, kept: int) -> Neighbours:
    """The `kept` neighbours of each item with the largest weight, strongest first, ties by row."""
    left, right, values = cooccurrences(training, items)
    order = np.lexsort((right, -values, left))
    starts = np.searchsorted(left, np.arange(items + 1))
    rank = np.arange(len(left)) - starts[left]  # sorting keeps each item's pairs where they were
    order = order[rank < kept]
    counts = np.minimum(np.diff(starts), kept)
    return Neighbours(np.append(0, counts.cumsum()), (right[order] + 1).astype(np.int32), values[order])


def _tried(
    bundle: Bundle, neighbours: Neighbours, split: Split, data: PreparedDataset, progress: Callable[[str], None]
) -> dict[float, float]:
    """Weight -> criterion."""
    recommender = Recommender(bundle)
    cooccurrence = Cooccurrence(neighbours_npz(neighbours), items=len(data.item_ids), weight=1.0, decay=DECAY)
    batches = np.array_split(np.arange(len(split.targets)), -(-len(split.targets) // BATCH))
    encoded = [recommender.encode([split.histories[int(number)] for number in batch]) for batch in batches]
    unit = _unit(recommender, cooccurrence, split, batches[0], encoded[0])
    counts = training_counts(training_sequences(data), len(data.item_ids))
    tried: dict[float, float] = {}
    for weight in (unit * step for step in STEPS):
        lists: Integers = np.zeros((len(split.targets), DEPTH), dtype=np.int64)
        for batch, encoding in zip(batches, encoded, strict=True):
            histories = [split.histories[int(number)] for number in batch]
            bonuses = [cooccurrence.bonus(history, weight) for history in histories]
            seen = [set(history.tolist()) for history in histories]
            found = recommender.rank(encoding.query_vectors, DEPTH, seen, bonuses=bonuses)
            for number, ranking in zip(batch, found, strict=True):
                lists[number, : len(ranking.rows)] = ranking.rows
        tried[weight] = evaluate_lists(lists, split.targets, split.histories.lengths, counts)[CRITERION]
        progress(f"weight {weight:.4g}: {CRITERION} {tried[weight]:.5f}")
    return tried


def _unit(
    recommender: Recommender, cooccurrence: Cooccurrence, split: Split, batch: Integers, encoding: Encoding
) -> float:
    """The weight at which the best item's bonus is as large as the best score is above the tenth, in the median."""
    histories = [split.histories[int(number)] for number in batch]
    found = recommender.rank(encoding.query_vectors, 10, [set(history.tolist()) for history in histories])
    gaps = [ranking.scores[0] - ranking.scores[-1] for ranking in found]
    bonuses = [bonus.amounts.max() for history in histories if (bonus := cooccurrence.bonus(history)) is not None]
    if not bonuses or (largest := float(np.median(bonuses))) <= 0:
        raise NoGainError("no items of the training data occur together")
    return float(np.median(gaps)) / largest


def _written(
    bundle: Bundle,
    chosen: Blend,
    neighbours: Neighbours,
    tried: dict[float, float],
    data: PreparedDataset,
    root: Path,
) -> Blended:
    """The same files and the neighbours; the metrics are measured anew, through the path that serves."""
    content = neighbours_npz(neighbours)
    manifest = bundle.manifest.model_copy(update={"blend": chosen, "parent": bundle.bundle_id})
    served = replace(bundle, manifest=manifest, cooccurrence=content)
    metrics: dict[str, dict[str, float]] = {
        split: measure_bundle(served, held_out(data, split), data) for split in SPLITS
    }
    files = {name: (bundle.path / name).read_bytes() for name in manifest.files} | {COOCCURRENCE: content}
    described = manifest.model_dump(exclude={"files", "format_version"}) | {
        "metrics": metrics,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Blended(write_bundle(root, described, files), tried, chosen.weight, metrics, bundle.bundle_id)
