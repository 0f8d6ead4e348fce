"""ICLRec: intents by K-means, and a contrast that pulls each sequence to its own."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.augmentation import CL4SREC, Operation, check_operations
from models.encoder import SequenceEncoder, last_vectors, mean_vectors
from models.intents import KMeansIntents
from models.losses.info_nce import info_nce
from models.losses.prototype_contrast import prototype_contrast
from models.methods.base import Batch, Encoding, IntentMethod, Objective, Refresh, next_item_terms, register
from models.similarity import Similarity, comparable
from models.views import encode_views


@dataclass(frozen=True)
class ICLRecOptions:
    """Hyper-parameters of eq. 18. The first of `num_intents` is the one that is served.

    The paper's ablations (Table 2): B `mitigate_false_negatives: false`; C `sequence_weight: 0`;
    D `intent_weight: 0`; E `sequence_weight: 0, augmentations: []`; F is the method `sasrec`.
    """

    num_intents: int | tuple[int, ...] = 256
    intent_weight: float = 0.1  # lambda
    sequence_weight: float = 0.1  # beta
    temperature: float = 1.0
    similarity: Similarity = "dot"  # of the views of a sequence
    mitigate_false_negatives: bool = True
    augmentations: tuple[Operation, ...] = CL4SREC

    def __post_init__(self) -> None:
        check_operations(self.augmentations)
        if not self.counts or min(self.counts) < 2:
            raise ValueError(f"num_intents must be one or more counts of at least 2, got {self.num_intents}")

    @property
    def counts(self) -> tuple[int, ...]:
        """Every K."""
        return (self.num_intents,) if isinstance(self.num_intents, int) else tuple(self.num_intents)


@register("iclrec")
class ICLRec(IntentMethod):
    """Chen et al., Intent Contrastive Learning for Sequential Recommendation (WWW 2022).

    L = L_next + lambda L_ICL + beta L_SeqCL (eq. 18). The sequence vector is the mean over the real positions. L_ICL
    compares it with the prototypes at unit length, as the paper's Gaussians with L2 normalisation ask (eq. 12).
    The intent_weights are the softmax of cosine / .1 between it and the K-means prototypes of the first K.
    """

    Options = ICLRecOptions
    intents_are = "softmax of cosine / 0.1 to K-means prototypes of mean position vectors, learned with the encoder"

    def __init__(self, encoder: SequenceEncoder, objective: Objective, options: ICLRecOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.options = options
        hidden = encoder.item_embedding.embedding_dim
        self.intents = nn.ModuleList(KMeansIntents(count, hidden) for count in options.counts)
        self.assignments: list[Tensor] = []  # the intent of each training sequence, one tensor (N) per K

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{"next_item", "sequence_contrast", "intent_contrast"}, without those of weight 0; needs `refresh_intents`."""
        options = self.options
        vectors, packing = self.encoder(batch.rows, batch.lengths)
        terms = next_item_terms(self.encoder, vectors, packing, batch, self.objective)
        if not (options.sequence_weight or options.intent_weight):
            return terms
        vectors = mean_vectors(*encode_views(self.encoder, batch.rows, batch.lengths, options.augmentations))
        if options.sequence_weight:
            contrast = info_nce(*comparable(vectors, options.similarity).chunk(2), temperature=options.temperature)
            terms["sequence_contrast"] = options.sequence_weight * contrast
        if options.intent_weight:
            views = F.normalize(vectors, dim=1).chunk(2)
            terms["intent_contrast"] = options.intent_weight * self._intent_contrast(views, batch)
        return terms

    def _intent_contrast(self, views: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """Eqs. 15-17: both views (B, D) at unit length, averaged over the several K."""
        losses = [
            prototype_contrast(
                view,
                intents.prototypes,
                assigned[batch.sequences],
                temperature=self.options.temperature,
                mitigate_false_negatives=self.options.mitigate_false_negatives,
            )
            for intents, assigned in zip(self._all_intents(), self.assignments, strict=True)
            for view in views
        ]
        return torch.stack(losses).sum() / len(self.intents)

    def encode(self, rows: Tensor, lengths: Tensor) -> Encoding:
        """The newest position is the query."""
        vectors, packing = self.encoder(rows, lengths)
        served = self._served()
        return Encoding(last_vectors(vectors, packing)[:, None], served.weights(mean_vectors(vectors, packing)))

    def sequence_vectors(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """The mean position vector."""
        return mean_vectors(*self.encoder(rows, lengths))

    def refresh_intents(self, sequence_vectors: Tensor) -> None:
        """E-step: K-means for every K."""
        self.assignments = [intents.refresh(sequence_vectors) for intents in self._all_intents()]

    @property
    def refresh(self) -> Refresh:
        """Every epoch: the E-step."""
        return "every_epoch"

    def prototypes(self) -> Tensor:
        """Unit K-means prototypes of the first K."""
        return self._served().prototypes

    def _served(self) -> KMeansIntents:
        return self._all_intents()[0]

    def _all_intents(self) -> list[KMeansIntents]:
        return [intents for intents in self.intents if isinstance(intents, KMeansIntents)]
