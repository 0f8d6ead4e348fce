"""Legacy evaluation with 100 popularity-sampled negatives, as BERT4Rec and DSSRec report it.

Its authors call it unreliable: a method that merely avoids popular items looks good. It is kept to compare with the
published numbers; judge methods by full ranking.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.methods.base import IntentMethod
from service.inference.recommender import Recommender
from training.batches import packed_batches
from training.bundle_evaluation import Scored, open_for, split_of
from training.metrics import Floats
from training.prepared import load_prepared
from training.sequences import Integers, Split, training_counts, training_sequences

NEGATIVES = 100
BATCH = 512


def evaluate_sampled(path: Path, data: Path, split: str, seed: int = 1) -> Scored:
    """Rank each next item among 100 negatives that are drawn by training popularity, none of the user's items."""
    dataset = load_prepared(data)
    bundle = open_for(path, dataset)
    chosen = split_of(dataset, split)
    counts = training_counts(training_sequences(dataset), len(dataset.item_ids))
    negatives = draw_negatives(chosen, counts, np.random.default_rng(seed))
    candidates = np.concatenate([chosen.targets[:, None], negatives], axis=1)
    scores = _scores(Recommender(bundle), chosen, candidates)
    manifest = bundle.manifest
    return Scored(
        method=manifest.method,
        next_item_loss=manifest.next_item_loss,
        dataset=dataset.name,
        split=split,
        holdout=dataset.holdout,
        metrics=sampled_metrics(scores),
        bundle_id=bundle.bundle_id,
    )


def sampled_validation(
    split: Split, counts: Integers, device: torch.device, seed: int = 1
) -> Callable[[IntentMethod], dict[str, float]]:
    """The same protocol for a method that is still learning; the negatives are the same each time."""
    negatives = draw_negatives(split, counts, np.random.default_rng(seed))
    candidates = torch.from_numpy(np.concatenate([split.targets[:, None], negatives], axis=1)).to(device)

    @torch.no_grad()
    def measured(method: IntentMethod) -> dict[str, float]:
        method.eval()
        items = method.encoder.item_vectors()
        scores = np.zeros(tuple(candidates.shape))
        for numbers, rows, lengths in packed_batches(
            split.histories, max_length=method.encoder.max_length, batch_size=BATCH, device=device
        ):
            queries = method.encode(rows, lengths).query_vectors  # (B, Q, D)
            offered = items[candidates[numbers.to(device)] - 1]  # (B, C, D)
            best = torch.bmm(queries, offered.transpose(1, 2)).amax(dim=1)
            scores[numbers.cpu().numpy()] = best.cpu().numpy()
        return sampled_metrics(scores)

    return measured


def draw_negatives(split: Split, counts: Integers, generator: np.random.Generator) -> Integers:
    """Item rows (N, 100), distinct for each user, drawn in proportion to counts (V); the user's items are left out.

    Draws are made in surplus and the first 100 that are new and allowed are kept, which is sampling without
    replacement. Raises ValueError when a user leaves fewer than 100 items to draw.
    """
    shares = counts.cumsum() / counts.sum()
    found = np.zeros((len(split.targets), NEGATIVES), dtype=np.int64)
    for number in range(len(split.targets)):
        excluded = {*split.histories[number].tolist(), int(split.targets[number])}
        if np.count_nonzero(counts) - len(excluded) < NEGATIVES:
            raise ValueError(f"fewer than {NEGATIVES} items are left to draw for user {number}")
        kept: dict[int, None] = {}
        while len(kept) < NEGATIVES:
            drawn = np.searchsorted(shares, generator.random(2 * NEGATIVES), side="right") + 1
            kept |= dict.fromkeys(row for row in drawn.tolist() if row not in excluded)
        found[number] = list(kept)[:NEGATIVES]
    return found


def sampled_metrics(scores: Floats) -> dict[str, float]:
    """Scores (N, 101), the next item first -> HR, NDCG and MRR; a tie counts as half a place lost.

    >>> sampled_metrics(np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0]]))["sampled100/MRR"]
    0.75
    """
    own, others = scores[:, :1], scores[:, 1:]
    ranks = 1 + (others > own).sum(axis=1) + (others == own).sum(axis=1) / 2
    gains = 1 / np.log2(ranks + 1)
    metrics = {f"sampled100/HR@{k}": float((ranks <= k).mean()) for k in (1, 5, 10)}
    metrics |= {f"sampled100/NDCG@{k}": float((gains * (ranks <= k)).mean()) for k in (5, 10)}
    return metrics | {"sampled100/MRR": float((1 / ranks).mean())}


def _scores(recommender: Recommender, split: Split, candidates: Integers) -> NDArray[np.float64]:
    """The best inner product over the query vectors, for every candidate (N, C)."""
    items = recommender.items.vectors()
    scores = np.zeros(candidates.shape)
    for numbers in np.array_split(np.argsort(split.histories.lengths, kind="stable"), -(-len(candidates) // BATCH)):
        queries = recommender.encode([split.histories[int(number)] for number in numbers]).query_vectors
        offered = items[candidates[numbers] - 1]  # (B, C, D)
        scores[numbers] = np.einsum("bqd,bcd->bqc", queries, offered).max(axis=1)
    return scores
