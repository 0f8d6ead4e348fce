"""Which clusters the users of each group are in, and who is in each cluster: Figs. 8 and 9 of ELCRec."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.sequences import Integers

ACTIVITY = ("pure_new", "new", "low", "medium", "high")  # in this order; other names follow


def draw_clusters(groups: NDArray[np.str_], clusters: Integers, count: int, picture: Path) -> None:
    """User group (N) and cluster (N), one of `count`, of every user."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    names = sorted(set(groups.tolist()), key=lambda name: ([*ACTIVITY, name].index(name), name))
    users = np.array([np.bincount(clusters[groups == name], minlength=count) for name in names])  # (groups, clusters)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    shown = left.imshow(users / users.sum(axis=1, keepdims=True), aspect="auto", cmap="Blues", vmin=0)
    left.set(yticks=range(len(names)), yticklabels=names, xlabel="cluster", title="share of a group's users")
    figure.colorbar(shown, ax=left)
    whose = users / np.maximum(users.sum(axis=0), 1)
    below = np.zeros(count)
    for name, own in zip(names, whose, strict=True):
        right.bar(range(count), own, bottom=below, label=name)
        below += own
    right.set(xlabel="cluster", title="who is in a cluster", ylim=(0, 1))
    right.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(picture)
    pyplot.close(figure)
