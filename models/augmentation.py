"""Augmented views of packed histories: crop, mask, reorder or insert, drawn for each sequence (CL4SRec, S4Rec)."""

from typing import Literal, get_args

import torch
from torch import Tensor

from models.packing import ragged_arange

Operation = Literal["crop", "mask", "reorder", "insert"]
CL4SREC: tuple[Operation, ...] = ("crop", "mask", "reorder")


def check_operations(operations: tuple[Operation, ...]) -> None:
    """Raises ValueError for an operation that does not exist."""
    if unknown := set(operations) - set(get_args(Operation)):
        raise ValueError(f"augmentations must be among {', '.join(get_args(Operation))}, got {', '.join(unknown)}")


def augment(
    rows: Tensor,
    lengths: Tensor,
    operations: tuple[Operation, ...] = CL4SREC,
    *,
    mask_row: int,
    max_length: int,
    crop_ratio: float = 0.2,
    mask_ratio: float = 0.7,
    reorder_ratio: float = 0.2,
    insert_ratio: float = 0.2,
) -> tuple[Tensor, Tensor]:
    """One view of each history: packed rows (T), lengths (B) -> packed rows, lengths (B).

    Each history gets one of the operations with equal chance (ICLRec, section 4, and its code's ratios; the share of
    inserted items is our choice). Without operations the view is the history. Views keep to `max_length`.
    """
    if not operations:
        return rows, lengths
    items = rows
    drawn = torch.randint(len(operations), lengths.shape, device=rows.device)
    chosen = {operation: drawn == number for number, operation in enumerate(operations)}
    if "mask" in chosen:
        masked = mask(rows, lengths, mask_row=mask_row, ratio=mask_ratio)
        rows = torch.where(torch.repeat_interleave(chosen["mask"], lengths), masked, rows)
    if "reorder" in chosen:
        moved = reorder(rows, lengths, ratio=reorder_ratio)
        rows = torch.where(torch.repeat_interleave(chosen["reorder"], lengths), moved, rows)
    if "crop" in chosen:
        rows, lengths = crop(rows, lengths, ratio=crop_ratio, chosen=chosen["crop"])
    if "insert" in chosen:
        rows, lengths = insert(rows, lengths, items, ratio=insert_ratio, max_length=max_length, chosen=chosen["insert"])
    return rows, lengths


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


def insert(
    rows: Tensor, lengths: Tensor, items: Tensor, *, ratio: float, max_length: int, chosen: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Add ceil(ratio * length) of `items`, the batch's histories before any other operation, at random places.

    As far as `max_length` allows.
    """
    added = torch.minimum((lengths * ratio).ceil().long(), max_length - lengths)
    if chosen is not None:
        added = torch.where(chosen, added, 0)
    segments, positions = _places(lengths)
    homes = torch.repeat_interleave(torch.arange(len(lengths), device=rows.device), added)
    drawn = items[torch.randint(len(items), homes.shape, device=rows.device)]
    before = torch.rand(homes.shape, device=rows.device, dtype=torch.float64) * (lengths[homes] + 1) - 1
    place = torch.cat([positions.double(), before])
    order = torch.argsort(torch.cat([segments, homes]) * (lengths.max() + 2).double() + place, stable=True)
    return torch.cat([rows, drawn])[order], lengths + added


def _places(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The history and the place within it, from 0, of every position."""
    segments = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    return segments, ragged_arange(torch.zeros_like(lengths), lengths)


def _uniform_below(limits: Tensor) -> Tensor:
    """A random integer in [0, limit) for each limit."""
    return (torch.rand(limits.shape, device=limits.device, dtype=torch.float64) * limits).floor().long()
