"""ELCRec: learnable intent centres, learned together with the encoder in one stage."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.augmentation import CL4SREC, Operation, check_operations
from models.clustering import kmeans, nearest
from models.encoder import SequenceEncoder, last_vectors, mean_vectors
from models.gathering import gather_rows
from models.intents import TEMPERATURE
from models.losses.info_nce import info_nce
from models.losses.learnable_cluster import learnable_cluster
from models.losses.prototype_contrast import all_prototypes_contrast
from models.methods.base import Batch, Encoding, IntentMethod, Objective, Refresh, next_item_terms, register
from models.similarity import Similarity, comparable
from models.views import encode_views

Fusion = Literal["shift", "concat", "none"]


@dataclass(frozen=True)
class ELCRecOptions:
    """Hyper-parameters of eq. 7.

    The paper's ablations (Fig. 4): B `contrast_weight: 0, cluster_weight: 0`; B+CCL `cluster_weight: 0`;
    B+ELCM `contrast_weight: 0`.
    `cluster_teaches_encoder`: whether L_cluster pulls the sequences to the centres too, or only the centres to the
    sequences. With the gradient into the encoder and the paper's alpha of 10 nothing keeps all sequences from
    becoming one; the paper is silent on it.
    `momentum`: 0 teaches the centres by gradient, as the paper does. Above 0 each batch moves every centre towards
    the mean of its own sequences instead, c <- m c + (1 - m) mean, so that centres follow drifting intents; this is
    the paper's open wish. A centre that no sequence chose for `patience` batches restarts at a sequence of the batch.
    """

    num_intents: int = 256
    cluster_weight: float = 1.0  # alpha
    contrast_weight: float = 0.1  # of both contrasts
    cluster_teaches_encoder: bool = False
    fusion: Fusion = "shift"
    temperature: float = 1.0
    similarity: Similarity = "dot"  # of the views of a sequence
    momentum: float = 0.0
    patience: int = 50
    augmentations: tuple[Operation, ...] = CL4SREC

    def __post_init__(self) -> None:
        check_operations(self.augmentations)
        if self.num_intents < 2:
            raise ValueError(f"num_intents must be at least 2, got {self.num_intents}")
        if self.fusion not in ("shift", "concat", "none"):
            raise ValueError(f"fusion must be shift, concat or none, got {self.fusion!r}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")


@register("elcrec")
class ELCRec(IntentMethod):
    """Liu et al., End-to-end Learnable Clustering for Intent Learning in Recommendation (2024).

    L = L_next + .1 (L_seq-cl + L_intent-cl) + alpha L_cluster (eq. 7). The sequence vector is the mean over the real
    positions, where eq. 2 concatenates them. Centres start at the K-means of the untrained encoder and are used at
    unit length. L_intent-cl takes the views at unit length too (Algorithm 1, line 12), else every view ends on top of
    its nearest centre. The intent_weights are the softmax of cosine / .1 between sequence vector and centres.
    """

    Options = ELCRecOptions
    intents_are = "softmax of cosine / 0.1 to centres of mean position vectors, learned with the encoder"
    idle: Tensor

    def __init__(self, encoder: SequenceEncoder, objective: Objective, options: ELCRecOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.options = options
        hidden = encoder.item_embedding.embedding_dim
        self.centres = nn.Parameter(torch.randn(options.num_intents, hidden), requires_grad=options.momentum == 0)
        self.register_buffer("idle", torch.zeros(options.num_intents, dtype=torch.long))  # batches without a sequence

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{"next_item", "cluster", "sequence_contrast", "intent_contrast"}, without those of weight 0."""
        options = self.options
        vectors, packing = self.encoder(batch.rows, batch.lengths)
        terms = next_item_terms(self.encoder, vectors, packing, batch, self.objective)
        sequences = F.normalize(mean_vectors(vectors, packing), dim=1)
        if self.training and options.momentum:
            self._follow(gather_rows(sequences.detach()))
        if options.cluster_weight:
            pulled = sequences if options.cluster_teaches_encoder else sequences.detach()
            terms["cluster"] = options.cluster_weight * learnable_cluster(pulled, self.prototypes())
        if options.contrast_weight:
            views = mean_vectors(*encode_views(self.encoder, batch.rows, batch.lengths, options.augmentations))
            terms |= self._contrasts(views)
        return terms

    def _contrasts(self, views: Tensor) -> dict[str, Tensor]:
        """Eqs. 4-6 on both views (2 B, D)."""
        options, centres = self.options, self.prototypes()
        intents = nearest(F.normalize(views, dim=1).detach(), centres.detach())[0]
        first, second = comparable(self._fused(views, centres[intents]), options.similarity).chunk(2)
        own = all_prototypes_contrast(F.normalize(views, dim=1), centres, intents, temperature=options.temperature)
        return {
            "sequence_contrast": options.contrast_weight * info_nce(first, second, temperature=options.temperature),
            "intent_contrast": options.contrast_weight * 2 * own,
        }

    def _fused(self, views: Tensor, own: Tensor) -> Tensor:
        """The view with its intent: h + c or [h, c]."""
        if self.options.fusion == "shift":
            return views + own
        return torch.cat([views, own], dim=1) if self.options.fusion == "concat" else views

    @torch.no_grad()
    def _follow(self, sequences: Tensor) -> None:
        """Momentum update of the centres by the unit vectors (B, D) of a batch."""
        count = self.options.num_intents
        assigned, cosines = nearest(sequences, self.prototypes())
        sizes = torch.bincount(assigned, minlength=count)
        means = sequences.new_zeros(self.centres.shape).index_add_(0, assigned, sequences) / sizes.clamp(min=1)[:, None]
        kept = torch.where(sizes > 0, self.options.momentum, 1.0)[:, None]
        self.centres.copy_(F.normalize(kept * self.prototypes() + (1 - kept) * means, dim=1))
        self.idle.add_(1).masked_fill_(sizes > 0, 0)
        idle = (self.idle >= self.options.patience).nonzero()[: len(sequences), 0]
        self.centres[idle] = sequences[cosines.topk(len(idle), largest=False).indices]
        self.idle[idle] = 0

    def encode(self, rows: Tensor, lengths: Tensor) -> Encoding:
        """The newest position is the query."""
        vectors, packing = self.encoder(rows, lengths)
        cosines = F.normalize(mean_vectors(vectors, packing), dim=1) @ self.prototypes().T
        return Encoding(last_vectors(vectors, packing)[:, None], (cosines / TEMPERATURE).softmax(dim=1))

    def sequence_vectors(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """The mean position vector."""
        return mean_vectors(*self.encoder(rows, lengths))

    def refresh_intents(self, sequence_vectors: Tensor) -> None:
        """Start the centres at the K-means of these vectors."""
        with torch.no_grad():
            self.centres.copy_(kmeans(sequence_vectors, self.options.num_intents))

    @property
    def refresh(self) -> Refresh:
        """Before the first epoch, to start the centres."""
        return "first_epoch"

    def prototypes(self) -> Tensor:
        """Unit centres."""
        return F.normalize(self.centres, dim=1)
