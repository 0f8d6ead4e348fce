"""Item vectors that start where items were seen together, instead of at random.

Levy & Goldberg, Neural Word Embedding as Implicit Matrix Factorization (NeurIPS 2014): factors of the positive
pointwise mutual information of items that are near each other in a training sequence.
"""

import numpy as np
import torch
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from torch import Tensor

from models.encoder import SequenceEncoder
from training.sequences import Sequences

WINDOW = 10  # a pair k steps apart, k at most this, counts 1 / k
SMOOTHING = 0.75  # exponent of the neighbour's count, as in the paper
SPREAD = 0.1  # standard deviation of the values: large enough to outlive the first steps
POWER_ITERATIONS = 8


def start_at_cooccurrence(encoder: SequenceEncoder, training: Sequences) -> None:
    """Set the item weights; where the catalogue is smaller than the width, the last columns stay as they were."""
    vectors = cooccurrence_vectors(training, encoder.items, encoder.item_embedding.embedding_dim)
    with torch.no_grad():
        encoder.item_weights()[:, : vectors.shape[1]] = vectors


def cooccurrence_vectors(training: Sequences, items: int, width: int) -> Tensor:
    """U sqrt(S) of PPMI ~ U S U' -> (V, min(width, V - 1)); zero for an item that was never seen beside another."""
    mutual = _positive_mutual_information(_cooccurrences(training, items))
    width = min(width, items - 1)
    if not mutual.count_nonzero():
        return torch.zeros(items, width)
    factors = TruncatedSVD(width, n_iter=POWER_ITERATIONS, random_state=0)
    vectors = factors.fit_transform(mutual) / np.sqrt(np.maximum(factors.singular_values_, np.finfo(np.float32).eps))
    return torch.from_numpy((SPREAD / vectors.std() * vectors).astype(np.float32))


def _cooccurrences(training: Sequences, items: int) -> sparse.csr_array:
    """How often, and how near, each two items were together: symmetric (V, V)."""
    counts = sparse.csr_array((items, items))
    for distance in range(1, WINDOW + 1):
        left, right = (rows - 1 for rows in training.pairs(distance))
        counts += sparse.csr_array((np.full(len(left), 1 / distance), (left, right)), shape=(items, items))
    return sparse.csr_array(counts + counts.T)


def _positive_mutual_information(counts: sparse.csr_array) -> sparse.csr_array:
    """max(0, log p(i, j) / (p(i) q(j))) with q smoothed: sparse where nothing was counted."""
    seen = counts.sum(axis=1)
    neighbour = seen**SMOOTHING
    pairs = counts.tocoo()
    expected = seen[pairs.row] * neighbour[pairs.col] / max(neighbour.sum(), 1)
    values = np.maximum(np.log(pairs.data / expected), 0)
    return sparse.csr_array((values, (pairs.row, pairs.col)), shape=counts.shape)
