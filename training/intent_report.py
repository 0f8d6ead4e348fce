"""What the intents of a finished method look like on its training sequences, and whether they mean something."""

import csv
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.bundle.contents import IntentDescription, IntentItem
from training.metrics import DEPTH
from training.prepared import PreparedDataset
from training.sequences import Integers, Sequences, Split, head_length

TOP_ITEMS = 10
Label = TypeVar("Label", bound=np.generic)


def describe_intents(
    assigned: Integers, count: int, training: Sequences, data: PreparedDataset
) -> list[IntentDescription]:
    """The strongest intent of each training sequence (N) -> size, share and most typical items of each intent.

    An item is typical by p(item | intent) ln(p(item | intent) / p(item)): frequent here, and more so than elsewhere.
    """
    sizes = np.bincount(assigned, minlength=count)
    overall = np.bincount(training.rows, minlength=len(data.item_ids) + 1)[1:] / max(len(training.rows), 1)
    by_intent = _rows_by_intent(assigned, count, training)
    return [
        IntentDescription(
            intent_id=intent,
            size=int(sizes[intent]),
            share=float(sizes[intent] / max(len(assigned), 1)),
            top_items=_typical(by_intent[intent], overall, data),
        )
        for intent in range(count)
    ]


def summarise(assigned: Integers, count: int) -> dict[str, float]:
    """Used intents, effective number (exp of the assignment entropy) and largest share."""
    shares = np.bincount(assigned, minlength=count) / max(len(assigned), 1)
    used = shares[shares > 0]
    return {
        "intents": float(count),
        "used": float(len(used)),
        "effective": float(np.exp(-(used * np.log(used)).sum())),
        "largest_share": float(shares.max()),
    }


def described(report: dict[str, float]) -> dict[str, str]:
    """The report in two lines: how sequences spread over the intents, and what the intents mean."""
    spread = (
        f"{report['used']:.0f} of {report['intents']:.0f} used, effective {report['effective']:.1f}, "
        f"largest share {report['largest_share']:.1%}"
    )
    named = {"seed_agreement": "agreement with another seed (AMI)", "nmi": "NMI with the truth"}
    meaning = [f"lift {report['lift']:.1f}", f"length explains R2 {report['length_r2']:.2f}"]
    meaning += [f"{words} {report[name]:.2f}" for name, words in named.items() if name in report]
    return {"intents": spread, "meaning": ", ".join(meaning)}


def length_r2(assigned: Integers, lengths: Integers) -> float:
    """How much of log-length the intent explains: 1 - SS_within / SS_total, 0 where all lengths are equal.

    >>> length_r2(np.array([0, 0, 1, 1]), np.array([2, 2, 8, 8]))
    1.0
    """
    logs = np.log(np.maximum(lengths, 1))
    total = ((logs - logs.mean()) ** 2).sum()
    sizes = np.bincount(assigned)
    means = np.bincount(assigned, weights=logs) / np.maximum(sizes, 1)
    return float(1 - ((logs - means[assigned]) ** 2).sum() / total) if total > 0 else 0.0


def head_rates(assigned: Integers, lengths: Integers) -> list[float]:
    """The share of head sequences (the longest fifth) in each used intent (S4Rec, section 5.3)."""
    sizes = np.bincount(assigned)
    heads = np.bincount(assigned, weights=lengths >= head_length(lengths))
    return [round(float(rate), 4) for rate in heads[sizes > 0] / sizes[sizes > 0]]


def lift(assigned: Integers, training: Sequences, split: Split, items: int) -> float:
    """HR@20 of popularity within the user's intent / HR@20 of global popularity, on held-out next items.

    Ties within an intent are broken by global popularity, then by item row; a user's history is left out of both
    lists. `assigned` and `training` hold one entry a user of the dataset. 0 where global popularity finds nothing.
    """
    counts = np.bincount(training.rows, minlength=items + 1)
    within = np.zeros(len(split.targets), dtype=bool)
    overall = _hits(_places(counts, counts), split, np.arange(len(split.targets)))
    of_user = assigned[split.users]
    by_intent = _rows_by_intent(assigned, int(assigned.max(initial=0)) + 1, training)
    for intent in np.unique(of_user):
        chosen = np.flatnonzero(of_user == intent)
        here = np.bincount(by_intent[intent], minlength=items + 1)
        within[chosen] = _hits(_places(here, counts), split, chosen)
    return float(within.mean() / overall.mean()) if overall.any() else 0.0


def agreement(first: NDArray[Label], second: NDArray[Label]) -> float:
    """Adjusted mutual information of two assignments of the same sequences: 0 by chance, 1 for the same partition."""
    from sklearn.metrics import adjusted_mutual_info_score  # takes seconds, which only some runs need

    return float(adjusted_mutual_info_score(first, second))


def agreement_with_truth(assigned: Integers, labels: list[str]) -> float:
    """Normalised mutual information (arithmetic) of intents and true labels: 0 independent, 1 the same partition.

    Labels of users without a training sequence, who come last, do not count.
    """
    from sklearn.metrics import normalized_mutual_info_score  # takes seconds, which only some runs need

    return float(normalized_mutual_info_score(labels[: len(assigned)], assigned))


def true_labels(truth: Path, data: PreparedDataset) -> list[str]:
    """The label of every user, from a CSV with a header and `user_id, label`. Raises ValueError when one is missing."""
    with truth.open(newline="") as file:
        labels = {line[0]: line[1] for line in list(csv.reader(file))[1:] if len(line) > 1}
    missing = [user_id for user_id in data.user_ids if user_id not in labels]
    if missing:
        raise ValueError(f"{truth} has no label for {len(missing)} users, the first is {missing[0]!r}")
    return [labels[user_id] for user_id in data.user_ids]


def _rows_by_intent(assigned: Integers, count: int, training: Sequences) -> list[Integers]:
    """The training rows of each intent's sequences."""
    owners = np.repeat(assigned, training.lengths)
    sizes = np.bincount(owners, minlength=count)
    return np.split(training.rows[np.argsort(owners, kind="stable")], sizes.cumsum()[:-1])


def _places(counts: Integers, tie_breaker: Integers) -> Integers:
    """The place, from 0, of every item row (V + 1) in the list by falling count; row 0 comes last."""
    blind = np.random.default_rng(0).permutation(len(counts) - 1)  # see baselines.by_count
    order = np.lexsort((blind, -tie_breaker[1:], -counts[1:])) + 1
    places = np.full(len(counts), len(counts))
    places[order] = np.arange(len(order))
    return places


def _hits(places: Integers, split: Split, chosen: Integers) -> NDArray[np.bool_]:
    """Whether each chosen user's target is among the first 20 that are not in the history."""
    lengths = split.histories.lengths[chosen]
    rows = np.concatenate([split.histories[int(number)] for number in chosen])
    owners = np.repeat(np.arange(len(chosen)), lengths)
    unique = np.unique(owners * len(places) + rows)  # an item that was bought twice is left out once
    owners, rows = unique // len(places), unique % len(places)
    wanted = places[split.targets[chosen]]
    before = np.bincount(owners[places[rows] < wanted[owners]], minlength=len(chosen))
    repeated = np.isin(np.arange(len(chosen)) * len(places) + split.targets[chosen], unique)
    return np.asarray((wanted - before < DEPTH) & ~repeated)


def _typical(rows: Integers, overall: np.ndarray, data: PreparedDataset) -> list[IntentItem]:
    if len(rows) == 0:
        return []
    found, counts = np.unique(rows, return_counts=True)
    here = counts / len(rows)
    scores = here * np.log(here / overall[found - 1])
    best = np.lexsort((found, -scores))[:TOP_ITEMS]
    return [IntentItem(item_id=data.item_ids[found[i] - 1], score=float(scores[i])) for i in best]
