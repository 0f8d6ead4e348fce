"""How many intents does the data hold? ELCRec leaves this open; here stability answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.clustering import kmeans, nearest
from service.inference.recommender import Recommender
from training.bundle_evaluation import open_for
from training.intent_report import agreement
from training.prepared import load_prepared
from training.sequences import training_sequences

CANDIDATES = (4, 6, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
LEAST_PER_INTENT = 10  # vectors of each half for every intent
STARTS = 8
AS_STABLE = 0.02  # difference in agreement that does not count
BATCH = 512


@dataclass(frozen=True)
class Estimate:
    """The agreement (adjusted mutual information) of two halves for each count."""

    stability: dict[int, float]

    @property
    def best(self) -> int:
        """The largest count among the most stable: whole groups taken together agree as well as the groups."""
        highest = max(self.stability.values())
        return max(count for count, found in self.stability.items() if found >= highest - AS_STABLE)

    @property
    def verdict(self) -> str:
        """One sentence for a person."""
        if self.best in (edges := {min(self.stability): "smallest", max(self.stability): "largest"}):
            return (
                f"no estimate: the most stable count, {self.best}, is the {edges[self.best]} that was tried. "
                "The vectors form a continuum, or fewer or more groups than these; read the whole curve."
            )
        return f"estimate: {self.best} intents (agreement {self.stability[self.best]:.2f})"


def estimate_count(
    vectors: NDArray[np.float32],
    *,
    candidates: Sequence[int] = CANDIDATES,
    seed: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> Estimate:
    """Vectors (N, D) -> the number of intents on which two random halves agree best.

    Each half is clustered by spherical K-means, all vectors are assigned by both, and the assignments are compared
    (stability selection; von Luxburg, Clustering Stability, 2010). It finds well separated groups. Where vectors form
    a continuum, agreement is low for every count and the maximum says little: read the whole curve.
    Raises ValueError when there are too few vectors for the smallest candidate.
    """
    torch.manual_seed(seed)
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors), dim=1)
    halves = torch.randperm(len(unit)).chunk(2)
    fitting = [count for count in candidates if count * LEAST_PER_INTENT <= len(unit) // 2]
    if not fitting:
        raise ValueError(f"{len(unit)} sequences are too few to tell how many intents there are")
    stability = {}
    for count in fitting:
        first, second = (nearest(unit, _best_kmeans(unit[half], count))[0].numpy() for half in halves)
        stability[count] = agreement(first, second)
        progress()
    return Estimate(stability)


def _best_kmeans(vectors: Tensor, count: int) -> Tensor:
    """The closest-fitting of several K-means: a bad start would pass for instability."""
    found = [kmeans(vectors, count) for _ in range(STARTS)]
    return max(found, key=lambda prototypes: float(nearest(vectors, prototypes)[1].mean()))


def estimate_for_bundle(bundle: Path, data: Path, progress: Callable[[], None] = lambda: None) -> Estimate:
    """The estimate from the query vectors of all training sequences, through the path that serves."""
    dataset = load_prepared(data)
    recommender = Recommender(open_for(bundle, dataset))
    training = training_sequences(dataset)
    histories = [training[number] for number in np.argsort(training.lengths, kind="stable")]
    batches = (histories[start : start + BATCH] for start in range(0, len(histories), BATCH))
    vectors = np.concatenate([recommender.encode(batch).query_vectors.mean(axis=1) for batch in batches])
    return estimate_count(vectors, progress=progress)
