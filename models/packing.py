"""Index arithmetic for histories laid end to end: nothing is padded but the square that attention needs."""

from typing import NamedTuple

import torch
from torch import Tensor


class Packing(NamedTuple):
    """Where each of T positions (one spare behind them) and B sequences find each other."""

    segments: Tensor  # (T + 1) sequence of each position; the spare one belongs to B
    recency: Tensor  # (T + 1) steps to the newest item of its sequence, 0 at the newest
    square: Tensor  # (B, W) position at each slot, W the longest length; slots past the end hold any position
    slots: Tensor  # (T + 1) slot of each position in the flattened square
    last: Tensor  # (B) the newest position; 0 for an empty sequence
    lengths: Tensor  # (B)
    filled: Tensor  # (B, 1) 1 where the sequence has an item, else 0


def pack_index(rows: Tensor, lengths: Tensor) -> Packing:
    """(T) rows and (B) lengths -> Packing. Exports to ONNX with T and B free, T = 0 included."""
    ends = lengths.cumsum(0)
    starts = ends - lengths
    positions = torch.arange(rows.shape[0] + 1, device=rows.device)
    segments = (positions[:, None] >= ends[None, :]).sum(1)
    width = lengths.max().clamp(min=1)
    columns = torch.arange(width, device=rows.device)  # type: ignore[call-overload]  # a 0-d tensor keeps W free in ONNX
    square = torch.minimum(starts[:, None] + columns[None, :], positions[-1])
    ends_and_spare = torch.cat([ends, ends[-1:] + 1])
    starts_and_spare = torch.cat([starts, ends[-1:]])
    slots = segments.clamp(max=lengths.shape[0] - 1) * width + positions - starts_and_spare[segments]
    return Packing(
        segments=segments,
        recency=ends_and_spare[segments] - 1 - positions,
        square=square,
        slots=slots,
        last=(ends - 1).clamp(min=0),
        lengths=lengths,
        filled=(lengths > 0).to(torch.float32)[:, None],
    )


def ragged_arange(starts: Tensor, lengths: Tensor) -> Tensor:
    """[s, s + 1, ..., s + l - 1] for each (start, length), end to end: (B), (B) -> (sum of lengths)."""
    ends = lengths.cumsum(0)
    shift = torch.repeat_interleave(starts - (ends - lengths), lengths)
    return shift + torch.arange(shift.shape[0], device=starts.device)


def reverse_each(values: Tensor, lengths: Tensor) -> Tensor:
    """Turn every sequence around: values (T, ...) of B sequences end to end, lengths (B) -> (T, ...)."""
    ends = lengths.cumsum(0)
    return values[
        torch.repeat_interleave(2 * ends - lengths - 1, lengths) - torch.arange(len(values), device=ends.device)
    ]
