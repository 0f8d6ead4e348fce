"""Augmented views of packed histories: crop, mask or reorder, drawn for each sequence (CL4SRec, ICLRec)."""

import torch
from torch import Tensor

from models.packing import ragged_arange

CROP, MASK, REORDER = 0, 1, 2


def augment(
    rows: Tensor,
    lengths: Tensor,
    *,
    mask_row: int,
    crop_ratio: float = 0.2,
    mask_ratio: float = 0.7,
    reorder_ratio: float = 0.2,
) -> tuple[Tensor, Tensor]:
    """One view of each history: packed rows (T), lengths (B) -> packed rows, lengths (B).

    Each history gets one of the three operations with equal chance (ICLRec, section 4; its code's ratios).
    """
    operation = torch.randint(3, lengths.shape, device=rows.device)
    of_position = torch.repeat_interleave(operation, lengths)
    masked = torch.where(of_position == MASK, mask(rows, lengths, mask_row=mask_row, ratio=mask_ratio), rows)
    moved = torch.where(of_position == REORDER, reorder(rows, lengths, ratio=reorder_ratio), masked)
    return crop(moved, lengths, ratio=crop_ratio, chosen=operation == CROP)


def crop(rows: Tensor, lengths: Tensor, *, ratio: float, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Keep a random contiguous `ratio` of each (chosen) history, at least one item."""
    kept = (lengths * ratio).floor().long().clamp(min=1).minimum(lengths)
    if chosen is not None:
        kept = torch.where(chosen, kept, lengths)
    starts = lengths.cumsum(0) - lengths + _uniform_below(lengths - kept + 1)
    return rows[ragged_arange(starts, kept)], kept


def mask(rows: Tensor, lengths: Tensor, *, mask_row: int, ratio: float) -> Tensor:
    """Replace exactly floor(ratio * length) random items of each history by `mask_row`."""
    segments, positions = _places(lengths)
    shuffled = torch.argsort(segments + torch.rand(len(rows), device=rows.device, dtype=torch.float64))
    rank = torch.empty_like(positions)
    rank[shuffled] = positions  # the k-th of its history after shuffling
    return torch.where(rank < (lengths * ratio).floor().long()[segments], mask_row, rows)


def reorder(rows: Tensor, lengths: Tensor, *, ratio: float) -> Tensor:
    """Shuffle a random contiguous `ratio` of each history."""
    segments, positions = _places(lengths)
    window = (lengths * ratio).floor().long()
    start = _uniform_below(lengths - window + 1)[segments]
    inside = (positions >= start) & (positions < start + window[segments])
    drawn = start + torch.rand(len(rows), device=rows.device, dtype=torch.float64) * window[segments]
    place = torch.where(inside, drawn, positions.double())
    return rows[torch.argsort(segments * (lengths.max() + 1).double() + place, stable=True)]


def _places(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The history and the place within it, from 0, of every position."""
    segments = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    return segments, ragged_arange(torch.zeros_like(lengths), lengths)


def _uniform_below(limits: Tensor) -> Tensor:
    """A random integer in [0, limit) for each limit."""
    return (torch.rand(limits.shape, device=limits.device, dtype=torch.float64) * limits).floor().long()
