"""One ranked list out of the candidates of Q query vectors."""

import numpy as np

from service.bundle.inputs import Rows
from service.inference.encoder import Floats


def merge(scores: Floats, rows: Rows) -> tuple[Floats, Rows]:
    """Candidates (Q, C) -> scores and item rows (<= Q * C): each row once with its best score.

    Best first; exact ties go by item row.
    """
    order = np.lexsort((rows.ravel(), -scores.ravel()))
    ranked_rows, ranked_scores = rows.ravel()[order], scores.ravel()[order]
    if len(rows) > 1:
        first = np.sort(np.unique(ranked_rows, return_index=True)[1])
        ranked_rows, ranked_scores = ranked_rows[first], ranked_scores[first]
    return ranked_scores, ranked_rows
