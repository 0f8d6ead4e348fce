"""Is one method better than another on the same users?"""

from dataclasses import dataclass

import numpy as np

from training.metrics import Floats

RESAMPLES = 2000


@dataclass(frozen=True)
class Comparison:
    """Mean difference A - B with its 95 % interval, and the two-sided p-value of no difference."""

    difference: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(a: Floats, b: Floats, *, resamples: int = RESAMPLES, seed: int = 1) -> Comparison:
    """Resample users with replacement: a and b (N) are one metric of the same users in the same order."""
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"both sides need one value a user, got shapes {a.shape} and {b.shape}")
    differences = a - b
    generator = np.random.default_rng(seed)
    means = np.array([differences[generator.integers(0, len(a), len(a))].mean() for _ in range(resamples)])
    below, above = float((means <= 0).mean()), float((means >= 0).mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return Comparison(float(differences.mean()), float(low), float(high), min(1.0, 2 * min(below, above)))
