"""Train one method: epochs, validation, early stopping, checkpoints."""

import ctypes
import resource
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from models.methods.base import IntentMethod
from training import checkpoint, run_log
from training.batches import TrainingBatches
from training.config import LoopOptions
from training.distributed import Ranks
from training.evaluation import all_sequence_vectors
from training.optimizers import Optimizer, optimizer_for
from training.precision import mixed_precision, multiplies_bfloat16
from training.run_log import EpochBar
from training.sequences import Sequences

NOTE_EVERY = 20  # steps between looks at the losses: reading one waits for the device


@dataclass(frozen=True)
class Outcome:
    """How a finished run went."""

    epochs: int
    best_epoch: int
    best_score: float
    seconds: float
    seconds_per_epoch: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Trainer:
    """One run's parts, built by the pipeline."""

    method: IntentMethod
    batches: TrainingBatches
    training: Sequences
    validate: Callable[[IntentMethod], dict[str, float]]
    options: LoopOptions
    device: torch.device
    work: Path  # checkpoint and run log live here
    key: str  # configuration and data the checkpoint belongs to
    ranks: Ranks

    def run(self, *, resume: bool) -> Outcome:
        """Train until validation stops improving; leaves the best epoch's state in the method."""
        optimizer = optimizer_for(self.method, self.options)
        progress = self._resumed(optimizer) if resume and self._checkpoint.is_file() else checkpoint.Progress()
        learner = self.ranks.wrap(self.method)
        if self.ranks.first:
            run_log.drop_lines_after(self._log, progress.epoch)
        with EpochBar(self.options.max_epochs, len(self.batches), shown=self.ranks.first) as bar:
            while progress.epoch < self.options.max_epochs and not self._exhausted(progress):
                self._epoch(learner, optimizer, progress, bar)
                if self.ranks.first:
                    checkpoint.save(self._checkpoint, self.method, optimizer, progress, self.key)
                return_free_memory()
        if progress.best_state:
            self.method.load_state_dict(progress.best_state)
        return Outcome(
            epochs=progress.epoch,
            best_epoch=progress.best_epoch,
            best_score=progress.best_score,
            seconds=progress.seconds,
            seconds_per_epoch=progress.seconds / max(progress.epoch, 1),
            peak_memory_mb=peak_memory_mb(self.device),
        )

    def _epoch(self, learner: nn.Module, optimizer: Optimizer, progress: checkpoint.Progress, bar: EpochBar) -> None:
        started = time.perf_counter()
        bar.start(progress.epoch + 1)
        draws = self.options.seed * 100_003 + progress.epoch  # of this epoch: a resumed run draws the same
        torch.manual_seed(draws)
        self._refresh_intents(progress.epoch)
        clustered = time.perf_counter()
        torch.manual_seed(draws + self.ranks.rank * 1_000_003)  # dropout and views differ between ranks
        mixed = self.options.precision == "auto" and multiplies_bfloat16(self.device)
        with mixed_precision(self.method, self.device) if mixed else nullcontext():
            losses = self._steps(learner, optimizer, draws, bar)
        trained = time.perf_counter()
        progress.epoch += 1
        metrics = self._validated(progress)
        progress.seconds += time.perf_counter() - started
        entry = {
            "epoch": progress.epoch,
            "losses": losses,
            "validation": metrics,
            "seconds": time.perf_counter() - started,
            "seconds_training": trained - clustered,
            "seconds_intents": clustered - started,
        }
        if self.ranks.first:
            run_log.append_line(self._log, entry)
        terms = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        chosen = self.options.select_by
        score = f" | {chosen} {metrics[chosen]:.5f}" if metrics else ""
        bar.say(f"epoch {progress.epoch}: {terms}{score} | {entry['seconds']:.1f} s")

    def _steps(self, learner: nn.Module, optimizer: Optimizer, draws: int, bar: EpochBar) -> dict[str, float]:
        """One pass over the batches -> the mean of each loss term."""
        learner.train()
        sums: dict[str, torch.Tensor] = {}
        started = time.perf_counter()
        for number, batch in enumerate(self.batches.epoch(draws), start=1):
            terms: dict[str, torch.Tensor] = learner(batch)
            loss = torch.stack(list(terms.values())).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value.detach()
            bar.step(self._note(terms, number, started) if number % NOTE_EVERY == 0 else "")
        return {name: float(self.ranks.mean(value)) / len(self.batches) for name, value in sums.items()}

    def _note(self, terms: dict[str, torch.Tensor], step: int, started: float) -> str:
        """Losses and speed for the bar."""
        speed = step * self.options.batch_size / (time.perf_counter() - started)
        return " ".join([*(f"{name} {value.item():.3f}" for name, value in terms.items()), f"{speed:.0f} sequences/s"])

    def _refresh_intents(self, epoch: int) -> None:
        if self.method.refresh == "every_epoch" or (self.method.refresh == "first_epoch" and epoch == 0):
            vectors = all_sequence_vectors(self.method, self.training, self.device, self.ranks)
            self.method.refresh_intents(vectors)

    def _validated(self, progress: checkpoint.Progress) -> dict[str, float]:
        """Metrics of this epoch; remembers its state if it is the best so far."""
        if progress.epoch % self.options.evaluate_every and progress.epoch < self.options.max_epochs:
            return {}
        metrics: dict[str, float] = self.ranks.told(self.validate(self.method) if self.ranks.first else None)
        score = metrics[self.options.select_by]
        if score > progress.best_score:
            progress.best_score, progress.best_epoch = score, progress.epoch
            progress.best_state = {name: value.detach().clone() for name, value in self.method.state_dict().items()}
        return metrics

    def _exhausted(self, progress: checkpoint.Progress) -> bool:
        """Asked after validations alone: epochs that nobody looked at are not known to be no better."""
        looked_at = progress.epoch % self.options.evaluate_every == 0
        return looked_at and progress.epoch - progress.best_epoch >= self.options.patience

    def _resumed(self, optimizer: Optimizer) -> checkpoint.Progress:
        return checkpoint.load(self._checkpoint, self.method, optimizer, self.key)

    @property
    def _checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

    @property
    def _log(self) -> Path:
        return self.work / "log.jsonl"


def return_free_memory() -> None:
    """Give freed memory back to the system: batches of ever new sizes scatter glibc's heap, which else grows on."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def peak_memory_mb(device: torch.device) -> float:
    """The largest memory of this process (or of the GPU) so far, in MB (10^6 bytes)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
