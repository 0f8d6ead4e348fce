"""The same configuration under another seed: do both find the same intents?"""

from pathlib import Path
from typing import Any

import numpy as np

from service.bundle.files import Bundle, BundleError, open_bundle
from service.inference.recommender import Recommender
from training.intent_report import agreement
from training.sequences import Integers, Sequences

BATCH = 512


def seed_agreement(
    root: Path, config: dict[str, Any], fingerprint: str, assigned: Integers, training: Sequences
) -> float | None:
    """Adjusted mutual information with the newest twin in the bundle root; None where there is no twin."""
    twins = [bundle for path in _newest_first(root) if (bundle := _twin(path, config, fingerprint))]
    return agreement(assigned, strongest_intents(twins[0], training)) if twins else None


def strongest_intents(bundle: Bundle, sequences: Sequences) -> Integers:
    """The strongest intent of every sequence (N), through the path that serves."""
    recommender = Recommender(bundle)
    found = np.zeros(len(sequences), dtype=np.int64)
    for numbers in np.array_split(np.argsort(sequences.lengths, kind="stable"), -(-len(sequences) // BATCH)):
        weights = recommender.encode([sequences[int(number)] for number in numbers]).intent_weights
        found[numbers] = weights.argmax(axis=1)
    return found


def _newest_first(root: Path) -> list[Path]:
    found = [path for path in root.iterdir() if (path / "manifest.json").is_file()] if root.is_dir() else []
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


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
    """What two runs share that differ in the seed: neither its value nor how long they were allowed to run."""
    free = ("seed", "max_epochs", "patience")
    training = {name: value for name, value in config.get("training", {}).items() if name not in free}
    return {name: value for name, value in config.items() if name != "intent_gate"} | {"training": training}
