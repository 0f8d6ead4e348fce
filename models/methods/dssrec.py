"""DSSRec: K disentangled intents as K query vectors, and the past predicts the future's intents as a whole."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.disentangling import DisentanglingLayer
from models.encoder import SequenceEncoder, mean_vectors
from models.losses.latent_seq2seq import latent_seq2seq
from models.losses.online_cluster import online_cluster
from models.methods.base import (
    Batch,
    Encoding,
    IntentMethod,
    Objective,
    Refresh,
    next_item,
    register,
    shared_next_item_terms,
)
from models.packing import reverse_each


@dataclass(frozen=True)
class DSSRecOptions:
    """`kept_share` is the paper's lambda. Its ablation without seq2seq: `seq2seq_weight: 0`.

    Two are ours. `cluster_weight`: online clustering as in S4Rec teaches the prototypes to share the sequences evenly;
    the paper's losses alone leave nearly all sequences to one category. `intent_dropout`: of what each category
    collects from the history.
    """

    num_intents: int = 4
    seq2seq_weight: float = 1.0
    kept_share: float = 0.5
    cluster_weight: float = 0.0
    intent_dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.num_intents < 1:
            raise ValueError(f"num_intents must be at least 1, got {self.num_intents}")
        if not 0 < self.kept_share <= 1:
            raise ValueError(f"kept_share must be in (0, 1], got {self.kept_share}")
        if not 0 <= self.intent_dropout < 1:
            raise ValueError(f"intent_dropout must be in [0, 1), got {self.intent_dropout}")


@register("dssrec")
class DSSRec(IntentMethod):
    """Ma et al., Disentangled Self-Supervision in Sequential Recommenders (KDD 2020).

    L = L_seq2item + L_seq2seq (eq. 7), trained jointly from the start. seq2item is the next-item loss over the best
    of K query vectors; eq. 6 itself, with its division by sqrt D, is `next_item_loss: in_batch`. For seq2seq as many
    positions as there are sequences are drawn from the batch, uniformly over all (user, t) pairs. The paper's encoder
    has a single head. An item's score is the best of its K inner products. The intent_weights are sum_i p(k|i) p(i).
    """

    Options = DSSRecOptions
    intents_are = "share of each latent category in the history, weighted by importance: sum_i p(k|i) p(i)"

    def __init__(self, encoder: SequenceEncoder, objective: Objective, options: DSSRecOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.options = options
        hidden = encoder.item_embedding.embedding_dim
        self.layer = DisentanglingLayer(hidden, options.num_intents, encoder.max_length, options.intent_dropout)
        self.query_vectors = options.num_intents

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{"next_item", "seq2seq", "cluster"}, without those of weight 0."""
        options = self.options
        vectors, packing = self.encoder(batch.rows, batch.lengths)
        past = self.layer.every_position(vectors, packing)[:-1]  # (T, K, D)
        queries = past / math.sqrt(past.shape[2]) if self.objective.next_item_loss == "in_batch" else past
        terms = {"next_item": next_item(self.encoder, queries, batch, self.objective)}
        terms |= shared_next_item_terms(self.encoder, vectors, packing, batch, self.objective)
        if options.seq2seq_weight:
            terms["seq2seq"] = options.seq2seq_weight * self._seq2seq(past, batch)
        if options.cluster_weight:
            sequences = self.layer.norm_vector(mean_vectors(vectors, packing))
            clustered = online_cluster(F.normalize(sequences, dim=1), F.normalize(self.prototypes(), dim=1))
            terms["cluster"] = options.cluster_weight * clustered
        return terms

    def _seq2seq(self, past: Tensor, batch: Batch) -> Tensor:
        """Eqs. 3-4. The reversed targets of a sequence end, read up to their place, at the future of each position."""
        reversed_ = reverse_each(batch.targets, batch.lengths)
        future = self.layer.every_position(*self.encoder(reversed_, batch.lengths), label=True)[:-1]
        future = reverse_each(future, batch.lengths)  # position t now holds x_T ... x_t+1
        drawn = torch.randint(len(past), batch.lengths.shape, device=past.device)
        return latent_seq2seq(past[drawn], future[drawn], kept_share=self.options.kept_share)

    def encode(self, rows: Tensor, lengths: Tensor) -> Encoding:
        """K query vectors of the whole history."""
        return Encoding(*self.layer.newest_position(*self.encoder(rows, lengths)))

    def sequence_vectors(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """The mean of the K query vectors."""
        return self.encode(rows, lengths).query_vectors.mean(1)

    def refresh_intents(self, sequence_vectors: Tensor) -> None:
        """Nothing: the prototypes are parameters."""

    @property
    def refresh(self) -> Refresh:
        """Never: the prototypes are parameters."""
        return "never"

    def prototypes(self) -> Tensor:
        """LN2(c)."""
        return self.layer.prototypes()
