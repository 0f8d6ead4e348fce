"""A run's curves as a picture: losses and validation accuracy by epoch."""

from pathlib import Path

from training.run_log import read_lines


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
    for metric in [name for name in ("HR@20", "NDCG@20", "sampled100/HR@10", "sampled100/NDCG@10") if name in measured]:
        right.plot(
            [entry["epoch"] for entry in validated], [entry["validation"][metric] for entry in validated], label=metric
        )
    right.set(xlabel="epoch", ylabel="validation", ylim=(0, None))
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture)
    pyplot.close(figure)


def validation_curve(log: Path, metric: str, points: int = 60) -> list[tuple[int, float]]:
    """(epoch, validation metric) of a run log, thinned to about as many points."""
    scores = [
        (int(entry["epoch"]), round(float(entry["validation"][metric]), 5))
        for entry in read_lines(log)
        if entry.get("validation")
    ]
    return scores[:: -(-len(scores) // points) or 1]
