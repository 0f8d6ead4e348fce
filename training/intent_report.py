"""What the intents of a finished method look like on its training sequences."""

import numpy as np

from service.bundle.contents import IntentDescription, IntentItem
from training.prepared import PreparedDataset
from training.sequences import Integers, Sequences

TOP_ITEMS = 10


def describe_intents(
    assigned: Integers, count: int, training: Sequences, data: PreparedDataset
) -> list[IntentDescription]:
    """The strongest intent of each training sequence (N) -> size, share and most typical items of each intent.

    An item is typical by p(item | intent) ln(p(item | intent) / p(item)): frequent here, and more so than elsewhere.
    """
    sizes = np.bincount(assigned, minlength=count)
    owners = np.repeat(assigned, training.lengths)
    overall = np.bincount(training.rows, minlength=len(data.item_ids) + 1)[1:] / max(len(training.rows), 1)
    by_intent = np.split(
        training.rows[np.argsort(owners, kind="stable")], np.bincount(owners, minlength=count).cumsum()
    )
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


def _typical(rows: Integers, overall: np.ndarray, data: PreparedDataset) -> list[IntentItem]:
    if len(rows) == 0:
        return []
    found, counts = np.unique(rows, return_counts=True)
    here = counts / len(rows)
    scores = here * np.log(here / overall[found - 1])
    best = np.lexsort((found, -scores))[:TOP_ITEMS]
    return [IntentItem(item_id=data.item_ids[found[i] - 1], score=float(scores[i])) for i in best]
