"""Teach the ranker: epochs over lists, the loss on the last day, early stopping."""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.losses.entire_space import entire_space
from models.ranker import Examination, Ranker
from training.metrics import Floats
from training.ranker.config import RankerLoop
from training.ranker.examples import Examples
from training.run_log import EpochBar, append_line
from training.sequences import Integers

EVALUATED = 1024  # lists at once
STARTERS = 20_000  # lists whose users the centres start at


def train(
    ranker: Ranker, examples: Examples, learn: Integers, check: Integers, options: RankerLoop, log: Path
) -> Examination:
    """Learn from some lists, stop by others; leaves the best epoch in the ranker -> how far places are looked at."""
    generator = np.random.default_rng(options.seed)
    seen = _started(ranker, examples, learn, generator)
    optimizer = _optimizer(ranker, seen, options)
    best, best_epoch, kept = float("inf"), 0, (ranker.state_dict(), seen.state_dict())
    with EpochBar(options.max_epochs, -(-len(learn) // options.batch_size)) as bar:
        for epoch in range(1, options.max_epochs + 1):
            bar.start(epoch)
            losses = _epoch(ranker, seen, optimizer, examples, generator.permutation(learn), options.batch_size, bar)
            found = surprise(ranker, seen, examples, check)
            append_line(log, {"epoch": epoch, "losses": losses, "validation": found})
            bar.say(f"epoch {epoch}: " + " ".join(f"{k} {v:.4f}" for k, v in (losses | {"last day": found}).items()))
            if found < best:
                best, best_epoch = found, epoch
                kept = copy.deepcopy((ranker.state_dict(), seen.state_dict()))
            if epoch - best_epoch >= options.patience:
                break
    ranker.load_state_dict(kept[0])
    seen.load_state_dict(kept[1])
    ranker.eval()
    return seen


def _started(ranker: Ranker, examples: Examples, learn: Integers, generator: np.random.Generator) -> Examination:
    """Scales and centres from the training lists, place weights from their click rates."""
    places, _ = examples.candidates(learn)
    chosen = torch.from_numpy(generator.permutation(learn)[:STARTERS])
    spread = float(examples.item_vectors[1:].std())
    ranker.start(examples.facts[places], spread, (examples.context[chosen], examples.intent_weights[chosen]))
    positions, clicked = examples.positions[places], examples.clicked[places]
    shown = torch.bincount(positions)
    return Examination(torch.bincount(positions, weights=clicked) / shown.clamp(min=1))


def _optimizer(ranker: Ranker, seen: Examination, options: RankerLoop) -> torch.optim.Optimizer:
    groups = [
        {"params": list(ranker.parameters()), "weight_decay": options.weight_decay},
        {"params": list(seen.parameters()), "lr": options.position_rate},
    ]
    return torch.optim.Adam(groups, lr=options.learning_rate)


def _epoch(
    ranker: Ranker,
    seen: Examination,
    optimizer: torch.optim.Optimizer,
    examples: Examples,
    order: Integers,
    batch_size: int,
    bar: EpochBar,
) -> dict[str, float]:
    """One pass over the lists -> the mean of each loss term."""
    ranker.train()
    sums: dict[str, float] = {}
    batches = np.split(order, range(batch_size, len(order), batch_size))
    for lists in batches:
        terms = _terms(ranker, seen, examples, lists)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        bar.step()
    return {name: value / len(batches) for name, value in sums.items()}


def _terms(ranker: Ranker, seen: Examination, examples: Examples, lists: Integers) -> dict[str, Tensor]:
    places, _ = examples.candidates(lists)
    click, conversion = logits(ranker, examples, lists)
    log_seen = seen.log_seen(examples.positions[places])
    terms = entire_space(click, conversion, log_seen, examples.clicked[places], examples.converted[places])
    if ranker.training and ranker.options.clusters and ranker.options.cluster_weight:
        users = ranker.users(examples.context[lists], examples.intent_weights[lists])
        terms["cluster"] = ranker.cluster_loss(users)
    return terms


def logits(ranker: Ranker, examples: Examples, lists: Integers) -> tuple[Tensor, Tensor]:
    """Of all candidates of some lists, end to end."""
    places, owners = examples.candidates(lists)
    vectors = examples.item_vectors[examples.rows[places]]
    context, weights = examples.context[lists], examples.intent_weights[lists]
    found: tuple[Tensor, Tensor] = ranker(context, weights, torch.from_numpy(owners), vectors, examples.facts[places])
    return found


@torch.no_grad()
def surprise(ranker: Ranker, seen: Examination, examples: Examples, lists: Integers) -> float:
    """Mean loss of both tasks over all candidates of some lists, each at its place."""
    ranker.eval()
    total, count = 0.0, 0
    for some in np.split(lists, range(EVALUATED, len(lists), EVALUATED)):
        size = len(examples.candidates(some)[0])
        total += size * sum(float(value) for value in _terms(ranker, seen, examples, some).values())
        count += size
    return total / max(count, 1)


@torch.no_grad()
def chances(ranker: Ranker, examples: Examples, lists: Integers) -> tuple[Floats, Floats]:
    """Of all candidates of some lists, as if each were looked at: p(click), p(conversion | click)."""
    ranker.eval()
    found = [logits(ranker, examples, some) for some in np.split(lists, range(EVALUATED, len(lists), EVALUATED))]
    click, conversion = (torch.cat(one).sigmoid().numpy().astype(np.float64) for one in zip(*found, strict=True))
    return click, conversion


@torch.no_grad()
def clusters(ranker: Ranker, examples: Examples, lists: Integers) -> Integers:
    """The nearest centre of the user of each list."""
    ranker.eval()
    users = ranker.users(examples.context[lists], examples.intent_weights[lists])
    nearest: Integers = ranker.cluster_shares(users).argmax(dim=1).numpy()
    return nearest
