"""The list that is shown, made of the best-scored items."""

from collections.abc import Callable

import numpy as np

from service.inference.encoder import Floats
from service.inference.recommender import Ranking
from service.inference.selection import Places, first_of_each, marginally_relevant
from service.question import Question

DEEPER = 4  # times, when a look was not deep enough


def choose(
    question: Question,
    ranking: Ranking,
    deeper: Callable[[int], Ranking],
    *,
    groups: Places,
    vectors: Callable[[Places], Floats],
) -> Ranking:
    """The k items to show out of the `question.depth` best-scored, at most so many a category, and diverse.

    `groups` (V) numbers the items' categories, `vectors` gives item vectors by row. Where the list is not full it is
    made again of `deeper` rankings, until there are no more items.
    """
    depth = question.depth
    while True:
        places = _places(question, ranking, groups, vectors)
        if len(places) == question.k or len(ranking.rows) < depth:
            return Ranking(ranking.rows[places], ranking.scores[places])
        depth *= DEEPER
        ranking = deeper(depth)


def _places(question: Question, ranking: Ranking, groups: Places, vectors: Callable[[Places], Floats]) -> Places:
    places = np.arange(len(ranking.rows))
    if question.max_per_category is not None:
        places = first_of_each(groups[ranking.rows - 1], question.max_per_category)
    if question.diversity > 0:
        scores, found = ranking.scores[places], vectors(ranking.rows[places])
        places = places[marginally_relevant(scores, found, question.k, question.diversity)]
    return places[: question.k]
