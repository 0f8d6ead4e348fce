"""DSSRec's disentangling layer: K query vectors from the position vectors of a sequence."""

import math

import torch
from torch import Tensor, nn

from models.dropout import Dropout
from models.packing import Packing


class DisentanglingLayer(nn.Module):
    """Ma et al., Disentangled Self-Supervision in Sequential Recommenders (KDD 2020), eqs. 8-13.

    p(k|i) = softmax_k(LN1(z_i) . LN2(c_k) / sqrt D)
    p(i)   = softmax_i(key_i . query / sqrt D),  key_i = key~_i + ReLU(W key~_i + b),  key~_i = LN3(a_i + z_i),
             query = LN4(a_t + z_t + b')
    phi_k  = LN5(beta_k + sum_i p(k|i) p(i) z_i), with one set of beta for inputs and one for labels
    Positions a_i count from the newest item, like the encoder's. What phi_k collects may suffer dropout before LN5;
    the paper has none.
    """

    def __init__(self, hidden: int, intents: int, max_length: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.scale = 1 / math.sqrt(hidden)
        self.max_length = max_length
        self.centres = nn.Parameter(torch.randn(intents, hidden) * self.scale)  # c
        self.positions = nn.Embedding(max_length, hidden)  # a
        nn.init.normal_(self.positions.weight, std=0.02)
        self.shift = nn.Parameter(torch.zeros(hidden))  # b'
        self.transform = nn.Linear(hidden, hidden)  # W, b
        self.norm_vector, self.norm_centre, self.norm_key, self.norm_query, self.norm_intent = (
            nn.LayerNorm(hidden) for _ in range(5)
        )
        self.dropout = Dropout(dropout)
        self.input_bias = nn.Parameter(torch.randn(intents, hidden) * self.scale)  # beta of inputs
        self.label_bias = nn.Parameter(torch.randn(intents, hidden) * self.scale)  # beta of labels

    def prototypes(self) -> Tensor:
        """LN2(c): (K, D)."""
        centres: Tensor = self.norm_centre(self.centres)
        return centres

    def every_position(self, vectors: Tensor, packing: Packing, *, label: bool = False) -> Tensor:
        """phi of the history that ends at each position: (T + 1, D) -> (T + 1, K, D)."""
        batch, width = packing.square.shape
        keys, queries = self._keys_and_queries(vectors, packing)
        scores = queries[packing.square] @ keys[packing.square].transpose(1, 2) * self.scale  # (B, W, W)
        later = torch.ones(width, width, dtype=torch.bool, device=vectors.device).triu(1)
        importance = scores.masked_fill(later, float("-inf")).softmax(dim=2)
        parts = self._memberships(vectors)[:, :, None] * vectors[:, None]  # (T + 1, K, D)
        collected = importance @ parts.flatten(1)[packing.square]
        slots = packing.slots.clamp(max=batch * width - 1)
        return self._intents(collected.reshape(batch * width, *parts.shape[1:])[slots], label)

    def newest_position(self, vectors: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        """phi (B, K, D) and the intent weights (B, K) = sum_i p(k|i) p(i) of whole histories."""
        keys, queries = self._keys_and_queries(vectors, packing)
        columns = torch.arange(packing.square.shape[1], device=vectors.device)
        inside = columns[None, :] < packing.lengths[:, None]  # (B, W)
        scores = (keys[packing.square] * queries[packing.last][:, None]).sum(2) * self.scale
        importance = scores.masked_fill(~inside, -1e9).softmax(dim=1) * inside  # all 0 for an empty history
        weights = self._memberships(vectors)[packing.square] * importance[:, :, None]  # (B, W, K)
        phi = self._intents(weights.transpose(1, 2) @ vectors[packing.square], label=False)
        uniform = (1 - packing.filled) / weights.shape[2]
        return phi, weights.sum(1) + uniform

    def _keys_and_queries(self, vectors: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        placed = vectors + self.positions(packing.recency.clamp(max=self.max_length - 1))
        keys = self.norm_key(placed)
        return keys + self.transform(keys).relu(), self.norm_query(placed + self.shift)

    def _memberships(self, vectors: Tensor) -> Tensor:
        """p(k|i): (T + 1, D) -> (T + 1, K)."""
        memberships: Tensor = (self.norm_vector(vectors) @ self.prototypes().T * self.scale).softmax(dim=1)
        return memberships

    def _intents(self, collected: Tensor, label: bool) -> Tensor:
        bias = self.label_bias if label else self.input_bias
        intents: Tensor = self.norm_intent(bias + self.dropout(collected))
        return intents
