"""Why an item is in a list: the intent it serves, and what in the history is most like it."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.bundle.inputs import Rows
from service.bundle.pacing import gently
from service.inference.encoder import Floats
from service.inference.retrieval import VectorIndex

CHUNK = 1 << 11  # item vectors at once


class Reasons:
    """Thread-safe: nothing changes after construction."""

    def __init__(self, items: VectorIndex, intents: VectorIndex) -> None:
        """The item vectors (V, D) and prototypes (K, D) of one bundle."""
        self._items = items
        self._prototypes = intents.vectors()

    def intents(self, weights: Floats, rows: Rows) -> NDArray[np.int64]:
        """The likeliest intent behind each of N items for somebody with intent weights (K) -> (N).

        p(intent | item) is in proportion to weight x p(item | intent), and p(item | intent) is the softmax over the
        catalogue of prototype . item vector.
        """
        scores = self._items.vectors_of(rows) @ self._prototypes.T - self._log_totals
        found: NDArray[np.int64] = (scores + np.log(np.maximum(weights, np.finfo(np.float32).tiny))).argmax(axis=1)
        return found

    def matches(self, weights: Floats, owners: Rows, rows: Rows) -> Floats:
        """How much of p(intent | item), all intents alike likely, meets the intent weights of the item's owner.

        Weights (B, K), and for each of N items its owner among the B and its row -> sums over the intents, (N).
        """
        scores = self._items.vectors_of(rows) @ self._prototypes.T - self._log_totals
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        found: Floats = np.einsum("nk,nk->n", weights[owners], likely) / likely.sum(axis=1)
        return found

    def nearest(self, history: Rows, rows: Rows, count: int) -> Rows:
        """For each of N items the `count` different rows of the history with the largest cosine, best first."""
        seen = np.unique(history)
        closeness = cosines(self._items.vectors_of(rows), self._items.vectors_of(seen))
        return seen[np.argsort(-closeness, axis=1, kind="stable")[:, :count]]

    def intents_of_all(self) -> NDArray[np.int64]:
        """For every item, in row order (V), the intent under which it is likeliest."""
        alike = np.ones(len(self._prototypes), dtype=np.float32)
        return np.concatenate([self.intents(alike, rows) for rows in self._chunks()])

    @cached_property
    def _log_totals(self) -> Floats:
        """(K): the logarithm of each softmax's divisor."""
        totals = np.full(len(self._prototypes), -np.inf, dtype=np.float32)
        for rows in self._chunks():
            scores = self._items.vectors_of(rows) @ self._prototypes.T  # (chunk, K)
            highest = scores.max(axis=0)
            totals = np.logaddexp(totals, highest + np.log(np.exp(scores - highest).sum(axis=0)))
        return totals

    def _chunks(self) -> Iterator[Rows]:
        """All item rows, so many at once that a product with the prototypes stays small."""
        for start in gently(range(1, len(self._items) + 1, CHUNK), at_once=1):
            yield np.arange(start, min(start + CHUNK, len(self._items) + 1))


def cosines(left: Floats, right: Floats) -> Floats:
    """(N, D) and (M, D) -> (N, M); 0 for a vector of length 0."""
    lengths = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)
    found: Floats = left @ right.T / np.maximum(lengths, np.finfo(np.float32).tiny)
    return found
