"""Leave-one-out, and batches that never see what is held out."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from training.batches import TrainingBatches, packed_batches
from training.prepared import PreparedDataset, load_prepared
from training.sequences import held_out, training_counts, training_sequences


def dataset(sequences: list[list[int]], items: int) -> PreparedDataset:
    """A dataset of these item rows."""
    return PreparedDataset(
        name="hand-made",
        user_ids=[f"u{number}" for number in range(len(sequences))],
        rows=np.concatenate([np.array(sequence, dtype=np.int64) for sequence in sequences]),
        offsets=np.cumsum([0, *(len(sequence) for sequence in sequences)]),
        item_ids=[str(row) for row in range(1, items + 1)],
        counts=np.ones(items, dtype=np.int64),
        titles=[None] * items,
        categories=[None] * items,
        attributes=[{}] * items,
        manifest={"fingerprint": "hand-made"},
    )


def test_the_last_item_tests_and_the_one_before_validates() -> None:
    data = dataset([[1, 2, 3, 4], [5, 6]], 6)
    training, validation, test = training_sequences(data), held_out(data, "validation"), held_out(data, "test")
    assert [training[number].tolist() for number in range(2)] == [[1, 2], [5, 6]]  # too short: all of it trains
    assert (validation.histories[0].tolist(), validation.targets.tolist()) == ([1, 2], [3])
    assert (test.histories[0].tolist(), test.targets.tolist()) == ([1, 2, 3], [4])
    assert test.users.tolist() == [0]
    assert training_counts(training, 6).tolist() == [1, 1, 0, 0, 1, 1]


def test_a_batch_pairs_every_position_with_its_next_item() -> None:
    torch.manual_seed(0)
    data = dataset([[1, 2, 3, 4, 9, 9], [5, 6, 7, 9, 9]], 9)
    batches = TrainingBatches(training_sequences(data), 9, max_length=2, batch_size=2, device=torch.device("cpu"))
    (batch,) = batches.epoch(1)
    found = {
        int(sequence): (rows.tolist(), targets.tolist())
        for sequence, rows, targets in zip(
            batch.sequences,
            batch.rows.split(batch.lengths.tolist()),
            batch.targets.split(batch.lengths.tolist()),
            strict=True,
        )
    }
    assert found == {0: ([2, 3], [3, 4]), 1: ([5, 6], [6, 7])}  # the newest two inputs
    assert batches.mean_targets == 4


def test_no_held_out_item_reaches_a_batch_and_no_known_item_is_a_negative(prepared: Path) -> None:
    """Items that occur only as held-out targets are never input or target; negatives avoid the user's own items."""
    data = load_prepared(prepared)
    training = training_sequences(data)
    allowed = set(training.rows.tolist())
    only_held_out = set(data.rows.tolist()) - allowed
    batches = TrainingBatches(training, len(data.item_ids), max_length=50, batch_size=64, device=torch.device("cpu"))
    seen, clashes, drawn = 0, 0, 0
    for batch in batches.epoch(1):
        assert not only_held_out & {*batch.rows.tolist(), *batch.targets.tolist()}
        owners = torch.repeat_interleave(batch.sequences, batch.lengths)
        for owner, negative in zip(owners.tolist(), batch.negatives.tolist(), strict=True):
            clashes += negative in training[owner]
        drawn += len(owners)
        seen += len(batch.sequences)
    assert seen == len(training)
    assert clashes / drawn < 0.01  # a user with many of the 120 items may exhaust the redraws


def test_packed_batches_cover_every_sequence_once(prepared: Path) -> None:
    training = training_sequences(load_prepared(prepared))
    cut = dataclasses.replace(training)
    numbers = torch.cat([n for n, _, _ in packed_batches(cut, max_length=5, batch_size=7, device=torch.device("cpu"))])
    assert sorted(numbers.tolist()) == list(range(len(training)))
