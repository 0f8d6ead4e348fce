"""Two augmented views of every sequence of a batch, encoded in one pass."""

import torch
from torch import Tensor

from models.augmentation import Operation, augment
from models.encoder import SequenceEncoder
from models.packing import Packing


def encode_views(
    encoder: SequenceEncoder, rows: Tensor, lengths: Tensor, operations: tuple[Operation, ...]
) -> tuple[Tensor, Packing]:
    """Packed histories (T), lengths (B) -> position vectors of 2 B views, the first views before the second.

    Without operations the two views are the history itself and differ by dropout alone.
    """
    views = [augment(rows, lengths, operations, mask_row=encoder.mask_row, max_length=encoder.max_length) for _ in "12"]
    rows, lengths = torch.cat([view for view, _ in views]), torch.cat([lengths for _, lengths in views])
    vectors, packing = encoder(rows, lengths)
    return vectors, packing
