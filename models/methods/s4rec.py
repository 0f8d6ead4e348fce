"""S4Rec: online clustering, contrast with negative intents, self-distillation, and no trace of length."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.augmentation import Operation, check_operations
from models.clustering import kmeans, nearest
from models.encoder import SequenceEncoder, last_vectors, mean_vectors
from models.losses.cluster_distillation import cluster_distillation
from models.losses.head_tail import HeadTailAdversary
from models.losses.info_nce import info_nce
from models.losses.online_cluster import online_cluster
from models.methods.base import Batch, Encoding, IntentMethod, Objective, Refresh, next_item_terms, register
from models.similarity import Similarity, comparable
from models.views import encode_views

ALL_OPERATIONS: tuple[Operation, ...] = ("crop", "mask", "reorder", "insert")


@dataclass(frozen=True)
class S4RecOptions:
    """Hyper-parameters of eq. 14, at the paper's optimum on Beauty.

    The paper's ablations (Table 3): w/o CSD `cluster_weight: 0, contrast_weight: 0, distillation_weight: 0`;
    w/o GR `adversary_weight: 0`; SR+CSD+GR (K-means) `clustering: kmeans`; SR+CSD (K-means) both of the last two.
    """

    num_intents: int = 128
    cluster_weight: float = 0.01  # alpha
    contrast_weight: float = 0.1  # beta1
    distillation_weight: float = 0.1  # beta2
    adversary_weight: float = 1.0  # lambda
    reversal: float = 0.1  # factor of the reversed gradient
    cluster_temperature: float = 0.1  # tau1
    contrast_temperature: float = 1.0  # tau2
    similarity: Similarity = "dot"  # of the views of a sequence
    distillation_temperature: float = 1.0  # tau3
    sinkhorn_epsilon: float = 0.05
    sinkhorn_iterations: int = 3
    clustering: Literal["online", "kmeans"] = "online"
    augmentations: tuple[Operation, ...] = ALL_OPERATIONS

    def __post_init__(self) -> None:
        check_operations(self.augmentations)
        if self.num_intents < 2:
            raise ValueError(f"num_intents must be at least 2, got {self.num_intents}")
        if self.clustering not in ("online", "kmeans"):
            raise ValueError(f"clustering must be online or kmeans, got {self.clustering!r}")


@register("s4rec")
class S4Rec(IntentMethod):
    """Wei et al., Leave No One Behind: Online Self-Supervised Self-Distillation (WWW 2024).

    L = L_next + alpha L_clust + beta1 L_SCL + beta2 L_CKD + lambda L_Adv (eq. 14).

    Where the paper is silent we chose: z is the mean over the real positions. Clustering compares unit vectors, the
    Sinkhorn plan has SwAV's epsilon and iterations; the contrast and the distillation take z as it is. L_clust and
    L_Adv look at the sequence itself, L_SCL and L_CKD at its two views. The own intent h(u) is the nearest prototype
    of the sequence. The prototype gets no gradient as a teacher. Gradient reversal has factor .1, so that
    the encoder does not run ahead of the classifier that it must deceive. `crop` keeps a contiguous fifth, as in
    ICLRec. The intent_weights are p of eq. 3.
    """

    Options = S4RecOptions
    intents_are = "softmax of cosine / temperature to prototypes of mean position vectors, learned by online clustering"
    fitted: Tensor

    def __init__(self, encoder: SequenceEncoder, objective: Objective, options: S4RecOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.options = options
        hidden = encoder.item_embedding.embedding_dim
        self.adversary = HeadTailAdversary(hidden, options.reversal)
        self.vectors = nn.Parameter(torch.randn(options.num_intents, hidden), requires_grad=self._online)
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def _online(self) -> bool:
        return self.options.clustering == "online"

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{"next_item", "adversary", "cluster", "sequence_contrast", "distillation"}, without those of weight 0."""
        options = self.options
        vectors, packing = self.encoder(batch.rows, batch.lengths)
        terms = next_item_terms(self.encoder, vectors, packing, batch, self.objective)
        sequences = mean_vectors(vectors, packing)
        if options.adversary_weight:
            terms["adversary"] = options.adversary_weight * self.adversary(sequences, batch.heads)
        if options.cluster_weight and self._online:
            terms["cluster"] = options.cluster_weight * online_cluster(
                F.normalize(sequences, dim=1),
                self.prototypes(),
                temperature=options.cluster_temperature,
                epsilon=options.sinkhorn_epsilon,
                iterations=options.sinkhorn_iterations,
            )
        if options.contrast_weight or options.distillation_weight:
            terms |= self._view_terms(batch, sequences)
        return terms

    def _view_terms(self, batch: Batch, sequences: Tensor) -> dict[str, Tensor]:
        """Eqs. 10-12 on the two views."""
        options, prototypes = self.options, self.prototypes()
        views = mean_vectors(*encode_views(self.encoder, batch.rows, batch.lengths, options.augmentations))
        intents = nearest(F.normalize(sequences, dim=1).detach(), prototypes.detach())[0]
        terms = {}
        if options.contrast_weight:
            contrast = info_nce(
                *comparable(views, options.similarity).chunk(2),
                temperature=options.contrast_temperature,
                prototypes=prototypes,
                intents=intents,
            )
            terms["sequence_contrast"] = options.contrast_weight * contrast
        if options.distillation_weight:
            distilled = cluster_distillation(
                views, prototypes, intents.repeat(2), temperature=options.distillation_temperature
            )
            terms["distillation"] = options.distillation_weight * 2 * distilled
        return terms

    def encode(self, rows: Tensor, lengths: Tensor) -> Encoding:
        """The newest position is the query."""
        vectors, packing = self.encoder(rows, lengths)
        cosines = F.normalize(mean_vectors(vectors, packing), dim=1) @ self.prototypes().T
        weights = (cosines / self.options.cluster_temperature).softmax(dim=1)
        return Encoding(last_vectors(vectors, packing)[:, None], weights)

    def sequence_vectors(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """The mean position vector."""
        return mean_vectors(*self.encoder(rows, lengths))

    def refresh_intents(self, sequence_vectors: Tensor) -> None:
        """K-means, from the second time on started at the prototypes there are."""
        initial = self.prototypes().detach() if bool(self.fitted) else None
        with torch.no_grad():
            self.vectors.copy_(kmeans(sequence_vectors, self.options.num_intents, initial=initial))
        self.fitted.fill_(True)

    @property
    def refresh(self) -> Refresh:
        """Online clustering starts at the K-means of the untrained encoder; the K-means variant repeats it."""
        return "first_epoch" if self._online else "every_epoch"

    def prototypes(self) -> Tensor:
        """Unit prototypes."""
        return F.normalize(self.vectors, dim=1)
