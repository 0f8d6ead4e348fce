"""SASRec: the encoder and the next-item loss alone."""

from dataclasses import dataclass

from torch import Tensor

from models.encoder import SequenceEncoder, last_vectors, mean_vectors
from models.intents import KMeansIntents
from models.methods.base import Batch, Encoding, IntentMethod, Objective, Refresh, next_item_terms, register


@dataclass(frozen=True)
class SASRecOptions:
    """`num_intents`: K of the K-means that describes the finished encoder."""

    num_intents: int = 64


@register("sasrec")
class SASRec(IntentMethod):
    """Kang & McAuley (ICDM 2018).

    It learns no intents. Its intent_weights are the softmax of cosine / .1 between the mean position vector and
    K-means prototypes that are found once, at export.
    """

    Options = SASRecOptions
    intents_are = "softmax of cosine / 0.1 to K-means prototypes of mean position vectors, found at export"
    post_hoc = True

    def __init__(self, encoder: SequenceEncoder, objective: Objective, options: SASRecOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.intents = KMeansIntents(options.num_intents, encoder.item_embedding.embedding_dim)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{"next_item"}."""
        vectors, packing = self.encoder(batch.rows, batch.lengths)
        return next_item_terms(self.encoder, vectors, packing, batch, self.objective)

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
