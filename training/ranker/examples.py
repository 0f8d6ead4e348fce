"""From exposures to what the ranker reads, through the path that serves."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.bundle.files import Bundle
from service.bundle.inputs import Rows
from service.bundle.manifest import SecondStage
from service.inference.cooccurrence import Bonus
from service.inference.encoder import Floats
from service.inference.ranker import Context, context_vector, facts
from service.inference.recommender import Recommender
from training.ranker.exposures import Exposures
from training.sequences import Integers

AT_ONCE = 256  # lists encoded together


@dataclass(frozen=True)
class Examples:
    """L lists and their N candidates, as tensors."""

    context: Tensor  # (L, C)
    intent_weights: Tensor  # (L, K), zero without a known history
    starts: Integers  # (L + 1): the candidates of list l are starts[l] .. starts[l + 1]
    rows: Tensor  # (N)
    facts: Tensor  # (N, FACTS); the first is the first stage's score
    positions: Tensor  # (N)
    clicked: Tensor  # (N)
    converted: Tensor  # (N)
    item_vectors: Tensor  # (V + 1, D), item row r at r
    whole: float  # share of lists for which the event log holds as much of the user as the service had stored

    def candidates(self, lists: Integers) -> tuple[Integers, Integers]:
        """Places of all candidates of some lists, and for each the number of its list among them."""
        counts = self.starts[lists + 1] - self.starts[lists]
        owners = np.repeat(np.arange(len(lists)), counts)
        places = np.arange(len(owners)) + np.repeat(self.starts[lists] - np.cumsum(counts) + counts, counts)
        return places, owners


def attribute_values(exposures: Exposures, most: int) -> dict[str, list[str]]:
    """Attribute of requests -> its most frequent values; one that has a single value tells nothing apart."""
    counted: dict[str, Counter[str]] = {}
    for text in exposures.attributes:
        for name, value in json.loads(text).items():
            counted.setdefault(name, Counter())[str(value)] += 1
    chosen = {name: sorted(value for value, _ in its.most_common(most)) for name, its in sorted(counted.items())}
    return {name: values for name, values in chosen.items() if len(values) > 1}


def examples_of(
    exposures: Exposures, bundle: Bundle, its: SecondStage, progress: Callable[[int], None] = lambda _: None
) -> Examples:
    """What the service would give the ranker for every list that was shown; `progress` hears of lists done."""
    recommender = Recommender(bundle)
    first = _first_stage(exposures, recommender, progress)
    vectors = recommender.items.vectors()
    candidates = facts(first.scores, bundle.popularity[exposures.rows - 1], first.matches)
    return Examples(
        context=torch.from_numpy(_contexts(exposures, its)),
        intent_weights=torch.from_numpy(first.intent_weights),
        starts=_starts(exposures),
        rows=torch.from_numpy(exposures.rows),
        facts=torch.from_numpy(candidates),
        positions=torch.from_numpy(exposures.positions),
        clicked=torch.from_numpy(exposures.clicked),
        converted=torch.from_numpy(exposures.converted),
        item_vectors=torch.from_numpy(np.vstack([np.zeros_like(vectors[:1]), vectors])),
        whole=first.whole,
    )


def _starts(exposures: Exposures) -> Integers:
    return np.searchsorted(exposures.owners, np.arange(len(exposures) + 1))


def _contexts(exposures: Exposures, its: SecondStage) -> Floats:
    columns = zip(exposures.stored_events.tolist(), exposures.attributes, exposures.timestamps.tolist(), strict=True)
    contexts = (Context(stored, json.loads(attributes), timestamp) for stored, attributes, timestamp in columns)
    return np.array([context_vector(one, its) for one in contexts], dtype=np.float32)


@dataclass(frozen=True)
class _FirstStage:
    """What it says of L lists and their N candidates, from the histories as they were."""

    intent_weights: Floats  # (L, K), zero without a known history
    scores: Floats  # (N), computed again: those that were shown may be of another bundle or another stage
    matches: Floats  # (N)
    whole: float


def _first_stage(exposures: Exposures, recommender: Recommender, progress: Callable[[int], None]) -> _FirstStage:
    starts, whole = _starts(exposures), 0
    weights, scores, matches = [], [], []
    for start in range(0, len(exposures), AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, len(exposures)))
        past = [exposures.past(number) for number in numbers]
        whole += sum(len(one) >= exposures.stored_events[number] for number, one in zip(numbers, past, strict=True))
        part = slice(starts[start], starts[numbers.stop])
        rows, owners = exposures.rows[part], exposures.owners[part] - start
        histories = [one[one > 0] for one in past]
        encoding = recommender.encode(histories)
        known = np.array([len(one) > 0 for one in histories])
        weights.append(np.where(known[:, None], encoding.intent_weights, np.float32(0)))
        scores.append(_scores(recommender, encoding.query_vectors, histories, rows, owners))
        matches.append(recommender.reasons.matches(weights[-1], owners, rows))
        progress(len(numbers))
    return _FirstStage(np.concatenate(weights), np.concatenate(scores), np.concatenate(matches), whole / len(exposures))


def _scores(
    recommender: Recommender, query_vectors: Floats, histories: list[Integers], rows: Rows, owners: Integers
) -> Floats:
    """The first stage's scores of N rows, each shown to one of B users: the blend included."""
    vectors = recommender.items.vectors_of(rows)
    scores: Floats = np.einsum("nqd,nd->nq", query_vectors[owners], vectors).max(axis=1)
    for number, bonus in enumerate(recommender.bonuses(histories)):
        own = owners == number
        if bonus is not None and own.any():
            scores[own] += _added(bonus, rows[own])
    return scores


def _added(bonus: Bonus, rows: Rows) -> Floats:
    """What co-occurrence adds to each of some rows."""
    order = np.argsort(rows)
    places = np.minimum(np.searchsorted(rows, bonus.rows, sorter=order), len(rows) - 1)
    added = np.zeros(len(rows), dtype=np.float32)
    hits = rows[order[places]] == bonus.rows
    np.add.at(added, order[places][hits], bonus.amounts[hits])
    return added
