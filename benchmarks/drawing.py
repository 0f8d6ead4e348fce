"""The pictures of docs/benchmarks.md: each function paints one on a matplotlib figure."""

from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from experiments import METHODS
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Line = dict[str, Any]
Point = tuple[str, str, float, float]  # method, option, its value, NDCG@20
COLOURS = dict(zip(METHODS, ("#4477aa", "#cc6677", "#228833", "#ccbb44", "#aa3377", "#777777"), strict=True))
LARGEST = 12  # intents with a colour of their own on the map
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "0.6",
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS.values()),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.color": "0.92",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "svg.hashsalt": "intently",  # the same results give the same file
}
matplotlib.use("agg")
matplotlib.rcParams.update(STYLE)


def head_and_tail(figure: Figure, lines: list[Line]) -> None:
    """Accuracy of the longest fifth of the sequences and of the rest (S4Rec Fig. 4)."""
    axes = figure.subplots()
    for offset, part, shade in ((-0.2, "head", 1.0), (0.2, "tail", 0.45)):
        values = [line["metrics"][f"{part}/NDCG@20"] for line in lines]
        places = [place + offset for place in range(len(lines))]
        bars = axes.bar(places, values, 0.36, label=part, color="#4477aa", alpha=shade)
        axes.bar_label(bars, fmt="%.3f", fontsize=7)
    axes.set_xticks(range(len(lines)), [line["method"] for line in lines])
    axes.set(ylabel="test NDCG@20")
    axes.grid(visible=False, axis="x")
    axes.legend(title="sequences", loc="center left", bbox_to_anchor=(1, 0.5))


def head_rates(figure: Figure, lines: list[Line]) -> None:
    """Share of head sequences in each intent (S4Rec Fig. 3): compact boxes mean intents that ignore length."""
    axes = figure.subplots()
    rates = [line["head_rates"] for line in lines]
    names = [line["method"] for line in lines]
    boxes = axes.boxplot(rates, tick_labels=names, showfliers=False, patch_artist=True, medianprops={"color": "0.2"})
    for box, name in zip(boxes["boxes"], names, strict=True):
        box.set(facecolor=COLOURS[name], alpha=0.6)
    axes.axhline(0.2, color="0.5", linewidth=0.8, linestyle="--", label="all sequences")
    axes.set(ylabel="head rate of an intent", ylim=(0, 1))
    axes.grid(visible=False, axis="x")
    axes.legend()


def convergence(figure: Figure, lines: list[Line]) -> None:
    """Validation accuracy by epoch."""
    axes = figure.subplots()
    for line in lines:
        axes.plot(*zip(*line["validation_curve"], strict=True), label=line["method"], color=COLOURS[line["method"]])
    axes.set(xlabel="epoch", ylabel="validation NDCG@20", ylim=(0, None))
    axes.legend()


def noise(figure: Figure, points: list[Point]) -> None:
    """Accuracy by share of replaced training items, as measured and relative to the clean log (DSSRec Fig. 4)."""
    left, right = figure.subplots(1, 2)
    for name in dict.fromkeys(point[0] for point in points):
        shares, scores = curve(points, name)
        style = {"marker": "o", "color": COLOURS[name.split()[0]], "linestyle": "--" if " " in name else "-"}
        left.plot(shares, scores, label=name, **style)
        if shares[0] == 0:
            right.plot(shares, [score / scores[0] for score in scores], **style)
    left.set(xlabel="share of training items replaced", ylabel="test NDCG@20", ylim=(0, None))
    right.set(xlabel="share of training items replaced", ylabel="relative to none replaced", ylim=(0, None))
    left.legend()


def sensitivity(figure: Figure, points: list[Point]) -> None:
    """Accuracy by one option at a time: the number of intents of all methods, then each method's weights."""
    counts = [point for point in points if point[1] == "num_intents"]
    weighed = list(dict.fromkeys(point[0] for point in points if point[1] != "num_intents"))
    panels = (["num_intents"] if counts else []) + weighed
    figure.set_size_inches(7, 2.4 * -(-len(panels) // 2))
    grid = figure.subplots(-(-len(panels) // 2), 2, sharey=True, squeeze=False).flatten()
    for axes, panel in zip(grid, panels, strict=False):
        if panel == "num_intents":
            for name in dict.fromkeys(point[0] for point in counts):
                axes.plot(*curve(counts, name), marker="o", label=name, color=COLOURS[name])
            axes.set(xlabel="number of intents")
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:.0f}")
        else:
            weights(axes, [point for point in points if point[0] == panel and point[1] != "num_intents"])
        axes.legend()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.supylabel("test NDCG@20", fontsize=9)


def weights(axes: Axes, points: list[Point]) -> None:
    """One method's weights; a zero has a place of its own."""
    for option in dict.fromkeys(point[1] for point in points):
        own = sorted((value, score) for _, chosen, value, score in points if chosen == option)
        axes.plot(*zip(*own, strict=True), marker="o", label=option.replace("_", " "))
    axes.set(xlabel=f"weight ({points[0][0]})")
    axes.set_xscale("symlog", linthresh=0.01, linscale=0.5)
    axes.xaxis.set_major_formatter("{x:g}")


def curve(points: list[Point], name: str) -> tuple[list[float], list[float]]:
    """The values and scores of a method, by rising value."""
    own = sorted((value, score) for method, _, value, score in points if method == name)
    return [value for value, _ in own], [score for _, score in own]


def intent_seconds(figure: Figure, lines: list[Line]) -> None:
    """Seconds of an epoch: K-means before it (iclrec) against online clustering within it (s4rec, elcrec)."""
    axes = figure.subplots()
    newest = {line["method"]: line["metrics"] for line in lines}
    names = [name for name in reversed(METHODS) if name in newest]
    intents = [newest[name]["seconds_intents"] for name in names]
    rest = [newest[name]["seconds_per_epoch"] - own for name, own in zip(names, intents, strict=True)]
    axes.barh(names, rest, label="steps and validation", color="#4477aa")
    axes.barh(names, intents, left=rest, label="K-means before the epoch", color="#cc6677")
    axes.set(xlabel="seconds an epoch (bce)")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def serving_curve(figure: Figure, lines: list[Line]) -> None:
    """Latency against throughput at more and more connections, whose number stands beside each mark."""
    axes = figure.subplots()
    newest = [by_count for _, by_count in sorted({line["connections"]: line["metrics"] for line in lines}.items())]
    rates = [metrics["requests/s"] for metrics in newest]
    for key, colour in (("p99 ms", "#cc6677"), ("p50 ms", "#4477aa")):
        axes.plot(rates, [metrics[key] for metrics in newest], marker="o", label=key.removesuffix(" ms"), color=colour)
    for count, rate, metrics in zip(sorted({line["connections"] for line in lines}), rates, newest, strict=True):
        axes.annotate(str(count), (rate, metrics["p99 ms"]), xytext=(-4, 5), textcoords="offset points", fontsize=7)
    axes.set(xlabel="requests/s", ylabel="latency, ms", yscale="log")
    axes.legend(title="connections at the marks")


def soak_memory(figure: Figure, lines: list[Line]) -> None:
    """Memory of each process over the newest soak."""
    axes = figure.subplots()
    samples, minutes = lines[-1]["samples"], lines[-1]["metrics"]["minutes"]
    for name, values in samples.items():
        if name.endswith(", MB"):
            axes.plot(np.arange(len(values)) * minutes / len(values), values, label=name.removesuffix(", MB"))
    axes.set(xlabel="minutes", ylabel="resident memory, MB", ylim=(0, None))
    axes.legend()


def intent_map(figure: Figure, places: NDArray[np.float64], intents: NDArray[np.int64]) -> None:
    """Sequences (N, 2) coloured by strongest intent; the largest intents have a colour of their own."""
    axes = figure.subplots()
    largest = np.bincount(intents).argsort(kind="stable")[::-1][:LARGEST]
    others = ~np.isin(intents, largest)
    axes.scatter(*places[others].T, s=2, color="0.85", rasterized=True)
    palette = matplotlib.colormaps["tab20"]
    for number, intent in enumerate(largest):
        axes.scatter(*places[intents == intent].T, s=4, color=palette(number), label=str(intent), rasterized=True)
    axes.set(xticks=[], yticks=[], xlabel="t-SNE", ylabel="t-SNE")
    axes.legend(title="intent", ncols=2, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
