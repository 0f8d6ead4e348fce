"""The whole path from a prepared dataset to a published bundle, one step a line."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from models.methods import build
from models.methods.base import IntentMethod
from training.batches import TrainingBatches
from training.config import TrainingConfig
from training.curves import described_run, draw_curves, validation_curve
from training.distributed import Ranks, joined
from training.evaluation import top_rows_of_method
from training.intent_report import described, true_labels
from training.loop import Outcome, Trainer
from training.metrics import evaluate_lists
from training.prepared import PreparedDataset, load_prepared
from training.publish import Published, publish
from training.sampled_evaluation import sampled_validation
from training.sequences import SPLITS, Split, held_out, training_counts, training_sequences, with_noise

SHOWN = ("HR@5", "HR@20", "NDCG@5", "NDCG@20")


@dataclass(frozen=True)
class Run:
    """A finished run: the bundle, how training went, and its metrics by split."""

    published: Published
    outcome: Outcome
    metrics: dict[str, dict[str, float]]
    dataset: str
    holdout: str
    validation_curve: list[tuple[int, float]]  # epoch, the metric that selects
    new_items: int = 0  # that got a vector without training

    def summary(self) -> str:
        """What a person wants to read at the end."""
        lines = [
            f"{split:10} " + " ".join(f"{name} {metrics[name]:.4f}" for name in SHOWN)
            for split, metrics in self.metrics.items()
        ]
        if self.new_items:
            lines.append(f"new items  {self.new_items:,} got a vector from those described like them")
        outcome = self.outcome
        lines.extend(f"{name:10} {text}" for name, text in described(self.published.intent_report).items())
        lines.extend(f"warning    {sentence}" for sentence in self.published.warnings)
        lines.append(
            f"training   {outcome.epochs} epochs (best {outcome.best_epoch}), {outcome.seconds_per_epoch:.1f} s each, "
            f"peak memory {outcome.peak_memory_mb:.0f} MB"
        )
        return "\n".join([*lines, f"wrote {self.published.path}"])

    def result(self, config: TrainingConfig, split: str) -> dict[str, Any]:
        """This run as a result line of one split."""
        return {
            "dataset": self.dataset,
            "split": split,
            "holdout": self.holdout,
            "method": config.method,
            "next_item_loss": config.next_item_loss,
            "flavour": config.flavour,
            "config": config.complete(),
            "seed": config.training.seed,
            "metrics": self.metrics[split],
            "intent_report": self.published.intent_report,
            "head_rates": self.published.head_rates,
            "validation_curve": self.validation_curve,
            "bundle_id": self.published.path.name,
            **asdict(self.outcome),
        }


def run_training(
    config: TrainingConfig,
    *,
    data: Path,
    out: Path,
    work: Path,
    resume: bool = False,
    device: str = "auto",
    truth: Path | None = None,
) -> Run | None:
    """Train, evaluate, publish. `work` keeps checkpoint, run log and curves. None on every rank but the first.

    `truth`, a CSV of user_id and label, is what the intents are compared with in the intent report.
    """
    target = choose_device(device)
    dataset = load_prepared(data)
    for name in SPLITS:
        held_out(dataset, name)  # what would be refused is refused before hours of training, not after
    labels = true_labels(truth, dataset) if truth else None
    with joined(target) as ranks:
        trainer = build_trainer(config, dataset, work, target, ranks)
        outcome = trainer.run(resume=resume)
    if not ranks.first:
        return None
    draw_curves(work / "log.jsonl", work / "curves.svg")
    _check_finite(trainer.method, outcome)
    placed = 0
    if config.new_items == "neighbours":
        from training.new_items import place_new_items  # scikit-learn takes seconds to import

        counts = training_counts(trainer.training, len(dataset.item_ids))
        placed = place_new_items(trainer.method.encoder, counts, dataset)
    evaluated = config.training.evaluated_users
    metrics: dict[str, dict[str, float]] = {
        name: measure(trainer.method, held_out(dataset, name).spaced(evaluated), dataset, target) for name in SPLITS
    }
    run = described_run(work / "log.jsonl", outcome)
    published = publish(trainer.method, config, dataset, trainer.training, metrics, run, out, labels)
    curve = validation_curve(work / "log.jsonl", config.training.select_by)
    return Run(published, outcome, metrics, dataset.name, dataset.holdout, curve, placed)


def _check_finite(method: IntentMethod, outcome: Outcome) -> None:
    if not all(bool(value.isfinite().all()) for value in method.parameters()):
        raise ValueError(
            f"training diverged: after epoch {outcome.best_epoch} the model is no longer finite; "
            "try a smaller training.learning_rate"
        )


def build_trainer(
    config: TrainingConfig, dataset: PreparedDataset, work: Path, device: torch.device, ranks: Ranks
) -> Trainer:
    """A run's parts, ready to train."""
    if ranks.world > 1 and config.next_item_loss == "in_batch":
        raise ValueError("in_batch takes the items of one process as candidates: train it in one, or choose bce or ce")
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.training.seed)
    training, items = training_sequences(dataset), len(dataset.item_ids)
    if config.training.noise:
        training = with_noise(training, items, config.training.noise, config.training.seed)
    samples = config.objective.samples(items)
    batches = TrainingBatches(
        training,
        items,
        max_length=config.encoder.max_length,
        batch_size=config.training.batch_size,
        device=device,
        partners=config.shared_next_item_weight > 0,
        drawn=config.negatives if samples else None,
        ranks=ranks,
    )
    validation = held_out(dataset, "validation").spaced(config.training.evaluated_users)
    method = build(config.method, items, config.encoder, config.objective, config.options)
    method.encoder.item_embedding.sparse = samples  # a step's gradient holds the items it saw, not the catalogue
    if config.training.item_start == "cooccurrence":
        from training.item_start import start_at_cooccurrence  # scikit-learn takes seconds to import

        start_at_cooccurrence(method.encoder, training)
    return Trainer(
        method=method.to(device),
        batches=batches,
        training=training,
        validate=validation_of(config, validation, dataset, device),
        options=config.training,
        device=device,
        work=work,
        key=_key(config, dataset),
        ranks=ranks,
    )


def validation_of(
    config: TrainingConfig, split: Split, dataset: PreparedDataset, device: torch.device
) -> Callable[[IntentMethod], dict[str, float]]:
    """What is measured between epochs: the full ranking, or the legacy protocol where it selects."""
    if config.training.select_by.startswith("sampled100/"):
        return sampled_validation(split, training_counts(training_sequences(dataset), len(dataset.item_ids)), device)
    return lambda method: measure(method, split, dataset, device)


def measure(method: IntentMethod, split: Split, dataset: PreparedDataset, device: torch.device) -> dict[str, float]:
    """Every metric of a split, in torch."""
    counts = training_counts(training_sequences(dataset), len(dataset.item_ids))
    return evaluate_lists(top_rows_of_method(method, split, device), split.targets, split.histories.lengths, counts)


def choose_device(name: str) -> torch.device:
    """`auto` takes CUDA where there is one. Raises ValueError when CUDA is asked for and absent."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"--device must be auto, cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no CUDA device here; use --device cpu or install a CUDA build")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _key(config: TrainingConfig, data: PreparedDataset) -> str:
    """What a checkpoint must share with a run to be resumed by it; more epochs or patience are allowed."""
    relevant = config.model_dump(
        mode="json",
        exclude={"name": True, "intent_gate": True, "training": {"max_epochs", "patience"}},
        exclude_defaults=True,
    )
    return hashlib.sha256(f"{relevant}{data.fingerprint}".encode()).hexdigest()
