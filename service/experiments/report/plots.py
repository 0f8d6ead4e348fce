"""A report as pictures (matplotlib): effects over time, by user group, and the sample ratio."""

from collections.abc import Callable
from itertools import accumulate
from math import ceil, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from service.experiments.report.contents import Report, Slice, Treatment

BLUE, RED, GREY = "#4477aa", "#cc6677", "#777777"
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "0.6",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.color": "0.92",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.hashsalt": "intently",  # the same report gives the same file
}
ACROSS = 2  # panels side by side
SIZE = (3.8, 2.6)  # of a panel, inches
FARTHEST = 5.0  # values: nothing that is known worse than this many times the largest is drawn to its end
BLOCKING = 3.29  # standard errors at p = .001


class Bar(NamedTuple):
    """An effect in percent and how far its interval reaches to each side."""

    value: float
    below: float
    above: float


def draw(report: Report, directory: Path, *, kind: str = "svg") -> list[Path]:
    """Write what there is to show -> the files."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context(STYLE):
        for its in report.treatments:
            name = directory / f"{report.experiment}-{its.variant}"
            if its.through:
                written.append(_panels(Path(f"{name}-effect.{kind}"), report, its, _over_time))
            if its.groups:
                written.append(_panels(Path(f"{name}-groups.{kind}"), report, its, _by_group))
        if report.split.by_day:
            figure = Figure(figsize=(SIZE[0] * ACROSS, SIZE[1]), facecolor="white")
            _sample_ratio(figure.subplots(), report)
            written.append(_saved(figure, directory / f"{report.experiment}-sample-ratio.{kind}"))
    return written


def _panels(path: Path, report: Report, its: Treatment, paint: Callable[[Axes, Treatment, int], None]) -> Path:
    """A panel for each metric."""
    count = len(report.metrics)
    across, down = min(ACROSS, count), ceil(count / ACROSS)
    figure = Figure(figsize=(SIZE[0] * across, SIZE[1] * down), facecolor="white")
    grid = figure.subplots(down, across, squeeze=False).flatten()
    for place, axes in enumerate(grid):
        if place >= count:
            axes.set_visible(False)
            continue
        axes.set_title(report.metrics[place].name)
        paint(axes, its, place)
    figure.suptitle(f"{its.variant} against {its.control}", fontsize=10)
    shown = dict(zip(*reversed(grid[0].get_legend_handles_labels()), strict=True))
    if shown:
        figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=len(shown))
    return _saved(figure, path)


def _over_time(axes: Axes, its: Treatment, metric: int) -> None:
    """Days 1 to each as a band, each day alone as a mark."""
    bars = {int(one.name): bar for one in its.through if (bar := _bar(one, metric))}
    alone = {int(one.name): bar for one in its.days if (bar := _bar(one, metric))}
    axes.axhline(0, color=GREY, linewidth=0.8)
    if bars:
        days, values = list(bars), [one.value for one in bars.values()]
        lows, highs = (
            [one.value - one.below for one in bars.values()],
            [one.value + one.above for one in bars.values()],
        )
        axes.fill_between(days, lows, highs, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(days, values, color=BLUE, marker="o", markersize=3, label="days 1 to each, at every look")
    if alone:
        errors = [[one.below for one in alone.values()], [one.above for one in alone.values()]]
        places = [day + 0.12 for day in alone]
        axes.errorbar(
            places,
            [one.value for one in alone.values()],
            errors,
            fmt="o",
            color=RED,
            markersize=3,
            linewidth=0.9,
            label="the day alone",
        )
    _limit(axes, [*bars.values(), *alone.values()], axes.set_ylim)
    axes.set(xlabel="day", ylabel="uplift, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _by_group(axes: Axes, its: Treatment, metric: int) -> None:
    """Each group and all users."""
    everybody = Slice(name="all", control_users=0, treatment_users=0, results=its.overall)
    rows = [(one.name.replace("_", " "), _bar(one, metric)) for one in (*its.groups, everybody)]
    axes.axvline(0, color=GREY, linewidth=0.8)
    for place, (_, bar) in enumerate(rows):
        if bar is not None:
            colour = RED if place == len(rows) - 1 else BLUE
            axes.errorbar(bar.value, place, xerr=[[bar.below], [bar.above]], fmt="o", color=colour, markersize=4)
    _limit(axes, [bar for _, bar in rows if bar is not None], axes.set_xlim)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xlabel="uplift, %")
    axes.grid(visible=False, axis="y")


def _sample_ratio(axes: Axes, report: Report) -> None:
    """Each variant's share of the users so far, beside what it was to get and where p is .001."""
    totals = list(accumulate(sum(day.values()) for day in report.split.by_day))
    days = list(range(1, len(totals) + 1))
    for arm, colour in zip(report.variants, (GREY, BLUE, RED, "#228833", "#ccbb44", "#aa3377") * 2, strict=False):
        users = accumulate(day[arm.name] for day in report.split.by_day)
        shares = [100 * one / total if total else float("nan") for one, total in zip(users, totals, strict=True)]
        axes.plot(days, shares, color=colour, marker="o", markersize=3, label=arm.name)
        reach = [100 * BLOCKING * sqrt(arm.share * (1 - arm.share) / max(total, 1)) for total in totals]
        lows, highs = ([100 * arm.share + sign * one for one in reach] for sign in (-1, 1))
        axes.fill_between(days, lows, highs, color=colour, alpha=0.12, linewidth=0)
    verdict = "off: nothing may be believed" if report.split.blocks else "as planned"
    axes.set_title(f"sample ratio {verdict} (p = {report.split.p_value:.2g}); bands: p = .001")
    axes.set(xlabel="day", ylabel="share of the users so far, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()


def _bar(its: Slice, metric: int) -> Bar | None:
    uplift = its.results[metric].uplift
    if uplift is None:
        return None
    high = float("inf") if uplift.high is None else uplift.high
    return Bar(100 * uplift.value, 100 * (uplift.value - uplift.low), 100 * (high - uplift.value))


def _limit(axes: Axes, bars: list[Bar], set_limits: Callable[[float, float], object]) -> None:
    """Intervals that say next to nothing would leave no room for the others: they leave the picture."""
    if not bars:
        return
    widths = sorted(max(one.below, one.above) for one in bars)
    reach = FARTHEST * widths[len(widths) // 2]
    low = max(min(one.value - one.below for one in bars), min(one.value for one in bars) - reach)
    high = min(max(one.value + one.above for one in bars), max(one.value for one in bars) + reach)
    if low < high < float("inf"):
        set_limits(min(low, 0) - 0.05 * (high - low), max(high, 0) + 0.05 * (high - low))


def _saved(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
    return path
