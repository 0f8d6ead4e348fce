"""Top-k items for histories: encode, search, merge, drop what must not be shown."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from service.bundle.files import Bundle
from service.bundle.inputs import Rows
from service.inference.allowed import Allowed
from service.inference.cooccurrence import Bonus, Cooccurrence
from service.inference.device import Device
from service.inference.encoder import Encoder, Encoding, Floats
from service.inference.merge import merge
from service.inference.reasons import Reasons, cosines
from service.inference.retrieval import VectorIndex
from service.inference.topk import TopK

SIMILAR_DEPTH = 10  # long vectors crowd a search by inner product: look this much deeper, then rank by cosine


@dataclass(frozen=True)
class Ranking:
    """Item rows, best first, with their scores. Shorter than asked only when the catalogue is exhausted."""

    rows: Rows
    scores: Floats

    def first(self, count: int) -> "Ranking":
        """Its beginning."""
        return self if len(self.rows) <= count else Ranking(self.rows[:count], self.scores[:count])


class Recommender:
    """One bundle's encoder and indices. Thread-safe: nothing changes after construction."""

    def __init__(self, bundle: Bundle, *, threads: int = 1, device: Device = "cpu") -> None:
        """Raise ValueError when the bundle's parts do not fit each other."""
        manifest = bundle.manifest
        self.encoder = Encoder(bundle.encoder, max_length=manifest.max_length, threads=threads, device=device)
        self.items = VectorIndex(bundle.item_index, first=1)
        self.intents = VectorIndex(bundle.intent_index, first=0)
        for part, found, wanted in (
            ("items.faiss vectors", len(self.items), manifest.items),
            ("intents.faiss vectors", len(self.intents), manifest.intents.count),
            ("items.faiss dimensions", self.items.dimensions, manifest.dimensions),
            ("intents.faiss dimensions", self.intents.dimensions, manifest.dimensions),
        ):
            if found != wanted:
                raise ValueError(f"{bundle.bundle_id}: {part} should be {wanted}, found {found}")
        self.reasons = Reasons(self.items, self.intents)
        self.cooccurrence: Cooccurrence | None = None
        if bundle.cooccurrence is not None and manifest.blend is not None:
            its = manifest.blend
            self.cooccurrence = Cooccurrence(
                bundle.cooccurrence, items=manifest.items, weight=its.weight, decay=its.decay
            )
        self._topk: TopK | None = None
        if bundle.topk is not None:
            self._topk = TopK(bundle.topk, items=manifest.items, threads=threads, device=device)

    def encode(self, histories: Sequence[Sequence[int] | Rows]) -> Encoding:
        """Query vectors (B, Q, D) and intent weights (B, K) of B histories of item rows."""
        return self.encoder.encode(histories)

    def bonuses(self, histories: Sequence[Sequence[int] | Rows]) -> list[Bonus | None]:
        """What the bundle's blend adds for each of B histories; empty for a bundle without one."""
        return [self.cooccurrence.bonus(history) for history in histories] if self.cooccurrence else []

    def rank(
        self,
        query_vectors: Floats,
        k: int,
        excluded: Sequence[AbstractSet[int]],
        allowed: Sequence[Allowed | None] = (),
        bonuses: Sequence[Bonus | None] = (),
    ) -> list[Ranking]:
        """The best k items for each of B queries (B, Q, D), without its `excluded` rows, of those it is `allowed`.

        `bonuses` are added to the scores. A list is short only when nothing is left.
        """
        if self._topk is not None:
            found = self._topk.best(query_vectors, k, excluded, allowed, bonuses)
            return [Ranking(rows=rows, scores=scores) for scores, rows in found]
        nothing = [None] * len(excluded)
        one_each = zip(query_vectors, excluded, allowed or nothing, bonuses or nothing, strict=True)
        return [self._search(*one, k) for one in one_each]

    def _search(
        self,
        query_vectors: Floats,
        excluded: AbstractSet[int],
        allowed: Allowed | None,
        bonus: Bonus | None,
        k: int,
    ) -> Ranking:
        """One history's query vectors (Q, D) through the index, as deep as the exclusions require."""
        scores, rows = merge(*self.items.search(query_vectors, k + len(excluded), allowed))
        if bonus is not None:
            scores, rows = self._raised(rows, query_vectors, allowed, bonus)
        return self._keep(scores, rows, k, excluded)

    def _raised(self, found: Rows, query_vectors: Floats, allowed: Allowed | None, bonus: Bonus) -> tuple[Floats, Rows]:
        """What the index found and every item with a bonus, scored exactly: no other item can be among the best."""
        may = slice(None) if allowed is None else allowed.mask[bonus.rows - 1]
        raised, amounts = bonus.rows[may], bonus.amounts[may]
        rows = np.union1d(found, raised)
        scores = (self.items.vectors_of(rows) @ query_vectors.T).max(axis=1)
        np.add.at(scores, np.searchsorted(rows, raised), amounts)
        return merge(scores[None], rows[None])

    @staticmethod
    def _keep(scores: Floats, rows: Rows, k: int, excluded: AbstractSet[int]) -> Ranking:
        if excluded:
            kept = ~np.isin(rows, np.fromiter(excluded, dtype=np.int64, count=len(excluded)))
            scores, rows = scores[kept], rows[kept]
        return Ranking(rows=rows[:k], scores=scores[:k])

    def similar(self, row: int, k: int, allowed: Allowed | None = None) -> Ranking:
        """The k items most like `row` by cosine, itself left out, among the nearest by inner product."""
        vector = self.items.vector(row)
        rows = self.items.search(vector[None], 1 + k * SIMILAR_DEPTH, allowed)[1][0]
        likeness = cosines(vector[None], self.items.vectors_of(rows))
        return self._keep(*merge(likeness, rows[None]), k, {row})

    def intent_items(self, intent_id: int, k: int, allowed: Allowed | None = None) -> Ranking:
        """The k items nearest to an intent's prototype by inner product."""
        scores, rows = merge(*self.items.search(self.intents.vector(intent_id)[None], k, allowed))
        return Ranking(rows=rows, scores=scores)

    def intent_neighbours(self, intent_id: int, k: int) -> Ranking:
        """The k intents whose prototypes have the largest inner product with this one's, itself left out."""
        scores, rows = merge(*self.intents.search(self.intents.vector(intent_id)[None], k + 1))
        return self._keep(scores, rows, k, {intent_id})
