"""Leave-one-out, and batches that never see what is held out."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from training.batches import TrainingBatches, packed_batches
from training.prepared import PreparedDataset, load_prepared
from training.sequences import held_out, training_counts, training_sequences, with_noise


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


def test_a_temporal_holdout_never_trains_on_what_came_after_the_cut() -> None:
    """Items before the cut: 3 of u0's, all of u1's, 1 of u2's, none of u3's (who come last) and of u4's."""
    data = dataset([[1, 2, 3, 4, 5], [6, 7], [1, 8], [2, 9], [3]], 9)
    data = dataclasses.replace(data, before_cut=np.array([3, 2, 1, 0, 0]))
    training, validation, test = training_sequences(data), held_out(data, "validation"), held_out(data, "test")
    assert [training[number].tolist() for number in range(len(training))] == [[1, 2], [6], [1]]
    assert (validation.users.tolist(), validation.targets.tolist()) == ([0, 1], [3, 7])
    assert [validation.histories[number].tolist() for number in range(2)] == [[1, 2], [6]]
    assert (test.users.tolist(), test.targets.tolist()) == ([0, 2, 3], [5, 8, 9])  # u4 has no history to ask with
    assert [test.histories[number].tolist() for number in range(3)] == [[1, 2, 3, 4], [1], [2]]


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


def test_noise_replaces_its_share_and_nothing_held_out(prepared: Path) -> None:
    """Half of the items are drawn anew; about one in 120 draws hits the item that was there."""
    data = load_prepared(prepared)
    training = training_sequences(data)
    noisy = with_noise(training, len(data.item_ids), 0.5, seed=1)
    changed = (noisy.rows != training.rows).mean()
    assert 0.47 < changed <= 0.5
    assert noisy.rows.min() >= 1
    assert noisy.rows.max() <= len(data.item_ids)
    assert np.array_equal(noisy.lengths, training.lengths)
    assert np.array_equal(with_noise(training, len(data.item_ids), 0.5, seed=1).rows, noisy.rows)


def test_batches_do_not_depend_on_what_is_held_out(prepared: Path) -> None:
    """Other held-out items, the same batches: inputs, targets, negatives, partners."""
    data = load_prepared(prepared)
    ends = data.offsets[1:]
    other = data.rows.copy()
    other[ends - 1], other[ends - 2] = 1, 2
    built = [
        TrainingBatches(
            training_sequences(dataclasses.replace(data, rows=rows)),
            len(data.item_ids),
            max_length=50,
            batch_size=64,
            device=torch.device("cpu"),
            partners=True,
        )
        for rows in (data.rows, other)
    ]
    for first, second in zip(*(batches.epoch(1) for batches in built), strict=True):
        for name in ("rows", "targets", "negatives", "sequences", "heads"):
            assert torch.equal(getattr(first, name), getattr(second, name)), name
        assert torch.equal(first.partners.rows, second.partners.rows)


def test_partners_led_to_the_same_next_item(prepared: Path) -> None:
    """A partner is another history before the last target, or the history itself where the target occurs once."""
    data = load_prepared(prepared)
    training = training_sequences(data)
    led_to: dict[int, set[tuple[int, ...]]] = {}
    for number in range(len(training)):
        rows = training[number].tolist()
        for place in range(1, len(rows)):
            led_to.setdefault(rows[place], set()).add(tuple(rows[:place]))
    batches = TrainingBatches(
        training, len(data.item_ids), max_length=200, batch_size=64, device=torch.device("cpu"), partners=True
    )
    same = 0
    for batch in batches.epoch(1):
        assert batch.partners is not None
        targets = batch.targets[batch.lengths.cumsum(0) - 1].tolist()
        histories = batch.rows.split(batch.lengths.tolist())
        for target, own, other in zip(
            targets, histories, batch.partners.rows.split(batch.partners.lengths.tolist()), strict=True
        ):
            assert tuple(other.tolist()) in led_to[target]
            same += own.tolist() == other.tolist() and len(led_to[target]) > 1
    assert same == 0
