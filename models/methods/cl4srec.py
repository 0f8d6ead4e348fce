"""CL4SRec: SASRec and a contrast between two augmented views of each sequence."""

from dataclasses import dataclass

from torch import Tensor

from models.augmentation import CL4SREC, Operation, check_operations
from models.encoder import SequenceEncoder, last_vectors, mean_vectors
from models.intents import KMeansIntents
from models.losses.info_nce import info_nce
from models.methods.base import Batch, Encoding, IntentMethod, Objective, Refresh, next_item_terms, register
from models.similarity import Similarity, comparable
from models.views import encode_views


@dataclass(frozen=True)
class CL4SRecOptions:
    """`num_intents`: K of the K-means that describes the finished encoder."""

    num_intents: int = 64
    sequence_weight: float = 0.1  # lambda
    temperature: float = 1.0
    similarity: Similarity = "dot"  # of the views of a sequence
    augmentations: tuple[Operation, ...] = CL4SREC

    def __post_init__(self) -> None:
        check_operations(self.augmentations)


@register("cl4srec")
class CL4SRec(IntentMethod):
    """Xie et al., Contrastive Learning for Sequential Recommendation (ICDE 2022).

    L = L_next + lambda L_SeqCL. It learns no intents. Its intent_weights are the softmax of cosine / .1 between the
    mean position vector and K-means prototypes that are found once, at export.
    """

    Options = CL4SRecOptions
    intents_are = "softmax of cosine / 0.1 to K-means prototypes of mean position vectors, found at export"
    post_hoc = True

    def __init__(self, encoder: SequenceEncoder, objective: Objective, options: CL4SRecOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.options = options
        self.intents = KMeansIntents(options.num_intents, encoder.item_embedding.embedding_dim)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{"next_item", "sequence_contrast"}."""
        vectors, packing = self.encoder(batch.rows, batch.lengths)
        terms = next_item_terms(self.encoder, vectors, packing, batch, self.objective)
        views = encode_views(self.encoder, batch.rows, batch.lengths, self.options.augmentations)
        compared = comparable(mean_vectors(*views), self.options.similarity)
        contrast = info_nce(*compared.chunk(2), temperature=self.options.temperature)
        return terms | {"sequence_contrast": self.options.sequence_weight * contrast}

    def encode(self, rows: Tensor, lengths: Tensor) -> Encoding:
        """The newest position is the query."""
        vectors, packing = self.encoder(rows, lengths)
        return Encoding(last_vectors(vectors, packing)[:, None], self.intents.weights(mean_vectors(vectors, packing)))

    def sequence_vectors(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """The mean position vector."""
        return mean_vectors(*self.encoder(rows, lengths))

    def refresh_intents(self, sequence_vectors: Tensor) -> None:
        """K-means."""
        self.intents.refresh(sequence_vectors)

    @property
    def refresh(self) -> Refresh:
        """At export: the intents are post hoc."""
        return "export"

    def prototypes(self) -> Tensor:
        """Unit K-means prototypes."""
        return self.intents.prototypes
