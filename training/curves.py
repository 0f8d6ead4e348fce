"""A run's curves: losses and validation accuracy by epoch, as a picture and as what a bundle says of its training."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from service.bundle.manifest import Curve, TrainingRun
from training.loop import Outcome
from training.run_log import read_lines

DRAWN = ("HR@20", "NDCG@20", "sampled100/HR@10", "sampled100/NDCG@10")
POINTS = 30  # of a bundle's curve


def draw_curves(log: Path, picture: Path) -> None:
    """Read a run log (JSONL) and write an SVG or PNG, by the picture's suffix."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    entries = [entry for entry in read_lines(log) if "losses" in entry]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    epochs = [entry["epoch"] for entry in entries]
    for term in entries[0]["losses"] if entries else ():
        left.plot(epochs, [entry["losses"][term] for entry in entries], label=term.replace("_", " "))
    left.set(xlabel="epoch", ylabel="loss term", yscale="log")
    left.legend(frameon=False)
    validated = [entry for entry in entries if entry["validation"]]
    measured = validated[-1]["validation"] if validated else {}
    for metric in [name for name in DRAWN if name in measured]:
        right.plot(
            [entry["epoch"] for entry in validated], [entry["validation"][metric] for entry in validated], label=metric
        )
    right.set(xlabel="epoch", ylabel="validation", ylim=(0, None))
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture)
    pyplot.close(figure)


def validation_curve(log: Path, metric: str, points: int = 60) -> Curve:
    """(epoch, validation metric) of a run log, thinned to at most as many points."""
    validated = [entry for entry in read_lines(log) if entry.get("validation")]
    return _thinned([(entry["epoch"], entry["validation"][metric]) for entry in validated], points)


def described_run(log: Path, outcome: Outcome) -> TrainingRun:
    """What a bundle says of its training."""
    entries = [entry for entry in read_lines(log) if "losses" in entry]
    terms = list(entries[0]["losses"]) if entries else []
    measured = {name for entry in entries for name in entry["validation"]}
    return TrainingRun(
        epochs=outcome.epochs,
        best_epoch=outcome.best_epoch,
        seconds=round(outcome.seconds, 1),
        peak_memory_mb=round(outcome.peak_memory_mb, 1),
        losses={term: _thinned([(its["epoch"], its["losses"][term]) for its in entries], POINTS) for term in terms},
        validation={name: validation_curve(log, name, POINTS) for name in DRAWN if name in measured},
    )


def _thinned(curve: Sequence[tuple[int, float]], points: int) -> Curve:
    """At most as many points, evenly spaced, up to the curve's last; without what is no number."""
    step = -(-len(curve) // points) or 1
    kept = curve[(len(curve) - 1) % step :: step]
    return [(int(epoch), round(float(value), 5)) for epoch, value in kept if isfinite(value)]
