"""How well a score finds what is clicked and what converts, by user group, beside the first stage's score alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from training.metrics import Floats
from training.sequences import Integers

EVERYBODY = "all"
LEAST_SEEN = 0.05  # a click at a place that is hardly looked at counts for 20 at most


@dataclass(frozen=True)
class Shown:
    """N candidates in lists: what was clicked and converted, and how likely each place was looked at."""

    owners: Integers  # (N) number of the list, rising
    groups: NDArray[np.str_]  # (N) user group
    clicked: Floats  # (N)
    converted: Floats  # (N)
    seen: Floats  # (N)


def measured(shown: Shown, first: Floats, click: Floats, conversion: Floats) -> dict[str, dict[str, float]]:
    """User group -> metric. Those of the first stage's score begin with `first stage/`.

    `CTR AUC` is over all candidates together, `list AUC` within lists, which is what ranking anew can change. Items in
    front are clicked for being in front, which speaks for the score that put them there: in both a click counts
    1 / p(its place is looked at), so that what would be clicked anywhere counts the same wherever it was shown (inverse
    propensity scoring, Joachims et al., WSDM 2017). `CVR AUC` is over what was clicked, wherever it was.
    """
    scores = {"": (click, conversion), "first stage/": (first, first)}
    found: dict[str, dict[str, float]] = {}
    for group in (EVERYBODY, *sorted(set(shown.groups.tolist()))):
        own = np.full(len(shown.groups), True) if group == EVERYBODY else shown.groups == group
        found[group] = {"lists": len(np.unique(shown.owners[own])), "clicks": float(shown.clicked[own].sum())}
        found[group]["conversions"] = float(shown.converted[own].sum())
        for name, (ctr, cvr) in scores.items():
            metrics = _aucs(Shown(**{key: column[own] for key, column in vars(shown).items()}), ctr[own], cvr[own])
            found[group] |= {name + metric: value for metric, value in metrics.items()}
    return found


def _aucs(shown: Shown, click: Floats, conversion: Floats) -> dict[str, float]:
    """Without those that need a class which does not occur."""
    clicks = shown.clicked > 0
    found = {
        "CTR AUC": auc(click, shown.clicked, np.where(clicks, _counts(shown), 1.0)),
        "CVR AUC": auc(conversion[clicks], shown.converted[clicks]),
        "list AUC": list_auc(click, shown),
    }
    return {name: value for name, value in found.items() if value is not None}


def auc(scores: Floats, labels: Floats, weights: Floats | None = None) -> float | None:
    """Chance that a positive is scored above a negative; None without both."""
    both = 0 < labels.sum() < len(labels)
    return float(roc_auc_score(labels, scores, sample_weight=weights)) if both else None


def _counts(shown: Shown) -> Floats:
    """How much a click at each place counts."""
    return 1 / np.maximum(shown.seen, LEAST_SEEN)


def list_auc(scores: Floats, shown: Shown) -> float | None:
    """Mean share of a list's other items that a clicked one is scored above; ties count half.

    None without a click in a list of two.
    """
    starts = np.flatnonzero(np.diff(shown.owners, prepend=-1))
    counts = np.diff(starts, append=len(scores))
    below = np.empty(len(scores))
    for ascending in (True, False):  # the mean over both orders of ties
        order = np.lexsort((np.arange(len(scores)) * (1 if ascending else -1), scores, shown.owners))
        rank = np.empty(len(scores))
        rank[order] = np.arange(len(scores)) - np.repeat(starts, counts)
        below = rank if ascending else (below + rank) / 2
    others = np.repeat(counts, counts) - 1
    weights = np.where(others > 0, shown.clicked * _counts(shown), 0.0)
    if weights.sum() == 0:
        return None
    return float((weights * below / np.maximum(others, 1)).sum() / weights.sum())


def shares(groups: NDArray[np.str_], clusters: Integers, count: int) -> dict[str, list[float]]:
    """User group -> share of its users in each cluster (ELCRec Fig. 8)."""
    return {
        str(group): (np.bincount(clusters[groups == group], minlength=count) / (groups == group).sum()).tolist()
        for group in np.unique(groups)
    }
