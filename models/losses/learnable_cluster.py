"""ELCRec's cluster loss: centres part from each other, sequences approach all centres."""

from torch import Tensor


def learnable_cluster(sequence_vectors: Tensor, centres: Tensor) -> Tensor:
    """(B, D) and (K, D) -> scalar (ELCRec eq. 3):

        - mean_{i != j} |c_i - c_j|^2 + mean_{u, j} |h_u - c_j|^2

    Every sequence is pulled to every centre, so that an early wrong assignment is not confirmed. Both means over
    pairs are taken from sums over single vectors: no pair is ever formed.
    """
    count = len(centres)
    squares = centres.square().sum()
    pairs = 2 * (count * squares - centres.sum(0).square().sum())  # the sum over i, j of |c_i - c_j|^2
    pull = sequence_vectors.square().sum(1).mean() + squares / count - 2 * sequence_vectors.mean(0) @ centres.mean(0)
    return pull - pairs / (count * (count - 1))
