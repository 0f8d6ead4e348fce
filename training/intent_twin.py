"""The same configuration under another seed: do both find the same intents?"""

from pathlib import Path
from typing import Any

import numpy as np

from service.bundle.files import Bundle, BundleError, find_bundles, open_bundle
from service.inference.recommender import Recommender
from training.intent_report import agreement
from training.sequences import Integers, Sequences

BATCH = 512


def seed_agreement(
    root: Path, config: dict[str, Any], fingerprint: str, assigned: Integers, training: Sequences
) -> float | None:
    """Adjusted mutual information with the newest twin in the bundle root; None where there is no twin."""
    twin = next((found for path in find_bundles(root) if (found := _twin(path, config, fingerprint))), None)
    return agreement(assigned, strongest_intents(twin, training)) if twin else None


def strongest_intents(bundle: Bundle, sequences: Sequences) -> Integers:
    """The strongest intent of every sequence (N), through the path that serves."""
    recommender = Recommender(bundle)
    found = np.zeros(len(sequences), dtype=np.int64)
    for numbers in np.array_split(np.argsort(sequences.lengths, kind="stable"), -(-len(sequences) // BATCH)):
        weights = recommender.encode([sequences[int(number)] for number in numbers]).intent_weights
        found[numbers] = weights.argmax(axis=1)
    return found


def _twin(path: Path, config: dict[str, Any], fingerprint: str) -> Bundle | None:
    """The bundle, if it differs from `config` in the seed alone."""
    try:
        bundle = open_bundle(path)
    except BundleError:
        return None  # a damaged neighbour is no twin; whoever serves it will be told
    its = bundle.manifest
    seeds = [found.get("training", {}).get("seed") for found in (its.config, config)]
    same = its.data_fingerprint == fingerprint and _but_seed(its.config) == _but_seed(config)
    return bundle if same and seeds[0] != seeds[1] else None


def _but_seed(config: dict[str, Any]) -> dict[str, Any]:
    """What twins share: all but the seed, the bundle's name and the gate, which teach nothing."""
    training = {name: value for name, value in config.get("training", {}).items() if name != "seed"}
    learned = {name: value for name, value in config.items() if name not in ("name", "intent_gate")}
    return learned | {"training": training}
