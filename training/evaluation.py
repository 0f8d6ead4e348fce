"""Full-catalogue ranking with the history masked: in torch while training, through a bundle once published."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from models.methods.base import IntentMethod
from service.inference.recommender import Recommender
from training.batches import packed_batches
from training.distributed import Ranks
from training.metrics import DEPTH
from training.sequences import Integers, Sequences, Split

BATCH = 512
SCORES_AT_ONCE = 100_000_000  # of histories x items: 400 MB


@torch.no_grad()
def top_rows_of_method(method: IntentMethod, split: Split, device: torch.device) -> Integers:
    """The best DEPTH item rows for each history (N, DEPTH), through `encode`; its own items are left out."""
    method.eval()
    items = method.encoder.item_vectors()
    lists = np.zeros((len(split.targets), DEPTH), dtype=np.int64)
    at_once = max(1, min(BATCH, SCORES_AT_ONCE // len(items)))
    buffer = items.new_empty(at_once, len(items))  # one for all batches: fresh pages cost time
    for numbers, rows, lengths in packed_batches(
        split.histories, max_length=method.encoder.max_length, batch_size=at_once, device=device
    ):
        first, *others = method.encode(rows, lengths).query_vectors.unbind(1)
        scores = torch.mm(first, items.T, out=buffer[: len(first)])
        for query in others:
            torch.maximum(scores, query @ items.T, out=scores)
        users, seen = _seen(split.histories, numbers)
        scores[users.to(device), seen.to(device) - 1] = float("-inf")
        depth = min(DEPTH, scores.shape[1])
        best, found = scores.topk(depth, dim=1)
        lists[numbers.cpu().numpy(), :depth] = torch.where(best.isinf(), 0, found + 1).cpu().numpy()
    return lists


def top_rows_of_recommender(recommender: Recommender, split: Split, progress: Callable[[int], None]) -> Integers:
    """The same lists through ONNX Runtime and FAISS: the path that serves. `progress` gets each batch's size."""
    lists = np.zeros((len(split.targets), DEPTH), dtype=np.int64)
    for numbers in np.array_split(np.argsort(split.histories.lengths, kind="stable"), -(-len(lists) // BATCH)):
        histories = [split.histories[int(number)] for number in numbers]
        rankings = recommender.rank(
            recommender.encode(histories).query_vectors,
            DEPTH,
            [set(history.tolist()) for history in histories],
            bonuses=recommender.bonuses(histories),
        )
        for number, ranking in zip(numbers, rankings, strict=True):
            lists[number, : len(ranking.rows)] = ranking.rows
        progress(len(numbers))
    return lists


@torch.no_grad()
def all_sequence_vectors(
    method: IntentMethod, sequences: Sequences, device: torch.device, ranks: Ranks = Ranks()
) -> Tensor:
    """The vectors (N, D) in which the method looks for intents, for every sequence in order, on every rank."""
    method.eval()
    vectors: Tensor | None = None
    for numbers, rows, lengths in packed_batches(
        sequences, max_length=method.encoder.max_length, batch_size=BATCH, device=device, ranks=ranks
    ):
        encoded = method.sequence_vectors(rows, lengths)
        if vectors is None:
            vectors = encoded.new_zeros(len(sequences), encoded.shape[1])
        vectors[numbers] = encoded
    if vectors is None:
        raise ValueError("there are no sequences to encode")
    return ranks.sum_(vectors)


def _seen(histories: Sequences, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """(place in the batch, item row) of every item the users have seen, the truncated part included."""
    chosen = numbers.cpu().numpy()
    lengths = histories.lengths[chosen]
    rows = np.concatenate([histories[int(number)] for number in chosen])
    return torch.from_numpy(np.repeat(np.arange(len(chosen)), lengths)), torch.from_numpy(rows)
