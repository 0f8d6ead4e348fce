"""Do the statistics of experiments keep what they promise? A/A tests, and planted effects, on simulated users.

    python benchmarks/experiment_levels.py

A/A: how often each test finds a difference where there is none, over 14 daily looks of about 3,000 users (see
simulated_users.py). Power: how often an effect of 5 % is found with the number of users that the planner named.
"""

import argparse
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from simulated_users import (
    CLICKED,
    CVR,
    DAYS,
    PVCTR,
    SECONDS,
    UVCTR,
    VIEWS,
    Users,
    at_every_look,
    at_the_end,
    day_by_day,
    draw,
)

from service.experiments.statistics.comparison import compare
from service.experiments.statistics.confidence_sequence import watch
from service.experiments.statistics.distributions import two_sided
from service.experiments.statistics.holm import holm
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments
from service.experiments.statistics.novelty import daily_effects, trend
from service.experiments.statistics.planner import Design, baseline, planned_variance, users_needed
from service.experiments.statistics.quantiles import compare_quantiles
from service.experiments.statistics.sample_ratio import BLOCKING, chi_square
from training.results import record

RESULTS = Path(__file__).parent / "results/experiment-levels.jsonl"
LEVEL = (0.040, 0.061)  # asked of a test at nominal 5 %
USERS, PILOT = 3000, 400_000
SPLITS, SPLIT = 200_000, 10_000  # how many fair splits, of how many users
ALPHA, UPLIFT = 0.05, 0.05
GOALS = (PVCTR, UVCTR, CVR, VIEWS, SECONDS)
WATCHED = (PVCTR, UVCTR, VIEWS)
Rule = tuple[str, tuple[float, float], bool]  # name, what is asked of its level, whether it calls a difference
NAMES = {"ratio": "delta method", "proportion": "two-proportion z", "mean": "Welch t"}


def main() -> None:
    """Every quantity, and a line of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=4000, help="A/A tests")
    parser.add_argument("--runs", type=int, default=400, help="experiments with a planted effect")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    generator, begun = np.random.default_rng(arguments.seed), time.monotonic()
    past = draw(generator, PILOT, by_day=False)
    for found in (
        *false_positives(generator, history(past), arguments.tests),
        wrong_splits(generator),
        *powers(generator, past, arguments.runs),
    ):
        tell(found, arguments.results, arguments.seed)
    print(f"{time.monotonic() - begun:.0f} s")


@dataclass(frozen=True)
class Found:
    """How many of `runs` experiments of so many users a rule called a difference, and what share is asked."""

    rule: str
    asked: tuple[float, float]
    count: int
    runs: int
    users: int
    uplift: float = 0.0


def tell(found: Found, results: Path, seed: int) -> None:
    """One line in the results, one on the screen."""
    share, (low, high) = found.count / found.runs, found.asked
    metrics = {"share": share, "error": math.sqrt(share * (1 - share) / found.runs)}
    place = {"method": found.rule, "seed": seed, "runs": found.runs, "users": found.users, "uplift": found.uplift}
    asked = {"low": low, "high": high}
    record(results, kind="experiment", dataset="simulated users", **place, asked=asked, metrics=metrics)
    print(f"{found.rule:66} {100 * share:6.2f} %  asked {100 * low:.2f} to {100 * high:.2f}", flush=True)


def false_positives(generator: np.random.Generator, pilot: Moments, tests: int) -> list[Found]:
    """How many A/A tests each rule called a difference."""
    planned = {one: planned_variance(baseline(one, pilot), USERS, Design()) for one in WATCHED}
    positives: Counter[str] = Counter()
    asked: dict[str, tuple[float, float]] = {}
    for _ in track(range(tests), "A/A tests", console=Console(stderr=True)):
        users = draw(generator, USERS)
        for name, bounds, positive in rules(users, planned, int(generator.integers(2**32))):
            asked[name] = bounds
            positives[name] += positive
    return [Found(name, bounds, positives[name], tests, USERS) for name, bounds in asked.items()]


def rules(users: Users, planned: dict[Metric, float], seed: int) -> list[Rule]:
    """Every rule on one A/A test."""
    control, treatment = at_the_end(users)
    fixed = {one: compare(one, control, treatment).p_value for one in GOALS}
    single = {label(one): p_value for one, p_value in fixed.items()} | others(users, control, treatment, seed)
    told = [(name, LEVEL, p_value <= ALPHA) for name, p_value in single.items()]
    adjusted = holm({one.name: p_value for one, p_value in fixed.items()})
    told.append((f"Holm over {len(GOALS)} metrics", (0, 0.06), min(adjusted.values()) <= ALPHA))
    looks = at_every_look(users)
    ever = {
        one: any(watch(one, *look, planned=planned[one]).absolute.excludes_zero for look in looks) for one in WATCHED
    }
    peeked = {one: any(compare(one, *look).p_value <= ALPHA for look in looks) for one in WATCHED}
    told += [(f"confidence sequence, {DAYS} looks: {one.name}", (0, 0.05), ever[one]) for one in WATCHED]
    either = ever[PVCTR] or fixed[PVCTR] <= ALPHA
    told.append(("confidence sequence at any look, or the test at the end: pvctr", (0, 0.10), either))
    told.append(("NAIVE page-view z: pvctr", (0, 1), naive(control, treatment) <= ALPHA))
    return told + [(f"NAIVE peeking, {DAYS} looks: {one.name}", (0, 1), peeked[one]) for one in WATCHED]


def others(users: Users, control: Moments, treatment: Moments, seed: int) -> dict[str, float]:
    """P-values of what is not a plain comparison."""
    found = {label(one, cuped=True): compare(one, control, treatment, cuped=True).p_value for one in (PVCTR, VIEWS)}
    sides = users.seconds[~users.treated], users.seconds[users.treated]
    for share in (0.5, 0.9):
        found[f"bootstrap: quantile {share} of seconds"] = compare_quantiles(*sides, share, seed=seed).p_value
    days = trend(daily_effects(PVCTR, *day_by_day(users), range(1, DAYS + 1)))
    found |= {"trend over days: pvctr": days.p_value, "days differ: pvctr": days.differing}
    counts = {"control": control.users, "treatment": treatment.users}
    return found | {"sample ratio at 5 %": chi_square(counts, {"control": 1, "treatment": 1})}


def naive(control: Moments, treatment: Moments) -> float:
    """The p-value of a z-test that takes every page view for a user."""
    places = [control.place(name) for name in ("clicks", "page_views")]
    (clicks, views), (treated_clicks, treated_views) = control.sums[places], treatment.sums[places]
    pooled = (clicks + treated_clicks) / (views + treated_views)
    error = math.sqrt(pooled * (1 - pooled) * (1 / views + 1 / treated_views))
    return two_sided((treated_clicks / treated_views - clicks / views) / error)


def wrong_splits(generator: np.random.Generator) -> Found:
    """How often the sample ratio of a fair split is called wrong."""
    weights = {"control": 1, "treatment": 1}
    counts = [int(one) for one in generator.binomial(SPLIT, 0.5, SPLITS)]
    wrong = sum(chi_square({"control": one, "treatment": SPLIT - one}, weights) < BLOCKING for one in counts)
    return Found(f"sample ratio at {100 * BLOCKING} %", (0.8 * BLOCKING, 1.2 * BLOCKING), wrong, SPLITS, SPLIT)


def powers(generator: np.random.Generator, past: Users, runs: int) -> Iterator[Found]:
    """How often the planted effect is found with the users that the planner names."""
    pilot = history(past)
    for metric, cuped in ((PVCTR, False), (PVCTR, True), (UVCTR, False), (CLICKED, False), (CLICKED, True)):
        uplift = user_uplift(past) if metric is UVCTR else UPLIFT
        needed = users_needed(baseline(metric, pilot, cuped=cuped), uplift, Design())
        count = detections(generator, metric, needed, runs, cuped=cuped)
        yield Found(f"power: {label(metric, cuped=cuped)}", (0.75, 0.85), count, runs, needed, uplift)


def history(users: Users) -> Moments:
    """All users of a time without an experiment."""
    control, treatment = at_the_end(users)
    return control + treatment


def user_uplift(users: Users) -> float:
    """What the planted uplift does to the share of users who click, from their chances: 1 - (1 - propensity)^views."""
    views = users.page_views.sum(axis=1)
    shares = [1 - ((1 - users.propensities * (1 + uplift)) ** views).mean() for uplift in (0, UPLIFT)]
    return float(shares[1] / shares[0] - 1)


def detections(generator: np.random.Generator, metric: Metric, needed: int, runs: int, *, cuped: bool) -> int:
    """In how many experiments of so many users the planted effect is found, in its direction."""
    found = 0
    for _ in track(range(runs), f"power: {label(metric, cuped=cuped)}", console=Console(stderr=True)):
        control, treatment = at_the_end(
            first(draw(generator, round(1.05 * needed), by_day=False, uplift=UPLIFT), needed)
        )
        comparison = compare(metric, control, treatment, cuped=cuped)
        found += comparison.p_value <= ALPHA and comparison.absolute.value > 0
    return found


def first(users: Users, count: int) -> Users:
    """The first so many; raises ValueError when there are fewer."""
    if len(users.treated) < count:
        raise ValueError(f"wanted {count} users, found {len(users.treated)}")
    return Users(**{name: column[:count] for name, column in vars(users).items()})


def label(metric: Metric, *, cuped: bool = False) -> str:
    """The test of a metric."""
    test = "Welch t" if cuped and metric.kind == "proportion" else NAMES[metric.kind]
    return f"{test}{' with CUPED' if cuped else ''}: {metric.name}"


if __name__ == "__main__":
    main()
