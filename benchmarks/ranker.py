"""ELCRec section 5 on planted users: gates as they are ("B") against gates with learnable clusters ("B+ELCM").

    python benchmarks/ranker.py

A log with drifting intents trains the first stage; planted users (planted_clicks.py) visit it, and each ranker learns
from the event log and the exposures of four fifths of them. On the others, whose truth is known, by user group: AUC of
clicks drawn as if every place were looked at, and the clicks a list that the engine would get with each bundle. Over
several seeds; the difference with a paired t interval.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted_clicks
import polars as pl
from planted_clicks import GROUPS, SHOWN, Visit, World, write_log
from rich.console import Console
from rich.progress import track
from scipy import stats

from service.bundle.files import newest_bundle, open_bundle
from service.engine import Engine
from service.inference.ranker import Ranker
from service.inference.recommender import Ranking, Recommender
from service.question import Question
from service.telemetry import Stages
from training.ranker.config import RankerConfig
from training.ranker.evaluation import EVERYBODY, auc
from training.ranker.pipeline import train_ranker
from training.results import record
from training.synthesis import SynthesisOptions, synthesize

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
VARIANTS = {"first stage": None, "B": "plain", "B+ELCM": "clusters"}
LEARNERS, MEAN_LENGTH, DRIFT, TESTED = 2000, 80.0, 0.5, 5  # every fifth user tests
FASTER = ("training.learning_rate=0.005", "training.max_epochs=15")  # the log is small
Metrics = dict[str, dict[str, float]]  # user group -> metric


def main() -> None:
    """One first stage, then for each seed a log, the rankers, and what is true of them."""
    arguments = parsed()
    found: dict[str, list[Metrics]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = first_stage(folder, arguments.users)
        for seed in track(range(1, arguments.seeds + 1), "seeds", console=Console(stderr=True)):
            world, learned, tested = planted(folder, first, seed)
            write_log(world, learned, folder / f"events-{seed}")
            bundles = {name: trained(folder, first, seed, config) for name, config in VARIANTS.items()}
            for variant, path in bundles.items():
                found[variant].append(truth(path, world, tested, seed))
        milliseconds = {name: took(path, world, tested) for name, path in bundles.items()}
        its = open_bundle(bundles["B+ELCM"]).manifest.ranker
    tell(found, milliseconds, its.cluster_shares if its else {}, arguments)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--users", type=int, default=10_000, help="of the service, beside those of the first stage")
    parser.add_argument("--results", type=Path, default=HERE / "results/experiment-ranker.jsonl")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("an interval needs two seeds or more")
    return arguments


def first_stage(folder: Path, users: int) -> Path:
    """The bundle of the first users of a planted log; the others will visit the service."""
    options = SynthesisOptions(users=LEARNERS + users, mean_length=MEAN_LENGTH, drift=DRIFT)
    synthesize(folder / "raw", options)
    everything = pl.read_csv(folder / "raw/interactions.csv")
    everything.filter(number_of(pl.col("user_id")) < LEARNERS).write_csv(folder / "learners.csv")
    for words in (
        ("prepare", folder / "learners.csv", "--out", folder / "data"),
        ("run", "demo", "--data", folder / "data", "--out", folder / "bundles", "--work", folder / "run"),
    ):
        subprocess.run([BIN / "intently-train", *(str(word) for word in words)], check=True)
    found = newest_bundle(folder / "bundles")
    assert found is not None
    return found


def number_of(user_id: pl.Expr) -> pl.Expr:
    """user-12 -> 12."""
    return user_id.str.strip_prefix("user-").cast(pl.Int64)


def planted(folder: Path, first: Path, seed: int) -> tuple[World, list[Visit], list[Visit]]:
    """The visits of those whose log is learned from, and of those who test."""
    generator = np.random.default_rng(seed)
    engine = Engine.load(first)
    ids = pl.read_csv(folder / "raw/truth/user_intents.csv").filter(number_of(pl.col("user_id")) >= LEARNERS)["user_id"]
    world = planted_clicks.read_world(folder / "raw", open_bundle(first), ids.to_list())
    users = planted_clicks.enter(world, generator)
    generator.shuffle(users)
    cut = len(users) // TESTED
    tests, learns = (planted_clicks.visits(world, some, engine, generator) for some in (users[:cut], users[cut:]))
    return world, learns, tests


def trained(folder: Path, first: Path, seed: int, config: str | None) -> Path:
    """The bundle of a variant; the first stage alone needs no training."""
    if config is None:
        return first
    loaded = RankerConfig.load(config, settings=[f"training.seed={seed}", *FASTER])
    out = folder / f"ranked-{seed}"
    made = train_ranker(first, folder / f"events-{seed}", out, loaded, folder / f"work-{config}-{seed}")
    print(f"seed {seed}, {config}\n{made.summary()}", flush=True)
    return made.path


def truth(path: Path, world: World, tested: Sequence[Visit], seed: int) -> Metrics:
    """User group -> what a bundle is worth to those who test: the same clicks are drawn for every bundle."""
    generator = np.random.default_rng(seed)
    scores = scored(path, tested)
    columns: dict[str, list[Any]] = {name: [] for name in ("group", "click", "conversion", "clicked", "converted")}
    for visit, (click, conversion) in zip(tested, scores, strict=True):
        clicked = generator.random(len(visit.rows)) < visit.attractive
        columns["group"] += [visit.group] * len(visit.rows)
        columns["click"] += click.tolist()
        columns["conversion"] += conversion.tolist()
        columns["clicked"] += clicked.tolist()
        columns["converted"] += (clicked & (generator.random(len(visit.rows)) < visit.converts)).tolist()
    table = {name: np.array(values) for name, values in columns.items()}
    gained = {group: float(np.mean(values)) for group, values in clicks_a_list(path, world, tested).items()}
    found: Metrics = {}
    for group in (EVERYBODY, *GROUPS):
        own = table["group"] == group if group != EVERYBODY else np.full(len(table["group"]), True)
        bought = own & table["clicked"]
        aucs = {
            "CTR AUC": auc(table["click"][own], table["clicked"][own]),
            "CVR AUC": auc(table["conversion"][bought], table["converted"][bought]),
        }
        found[group] = {name: value for name, value in aucs.items() if value is not None}
        found[group] |= {"clicks a list": gained[group]}
    return found


def scored(path: Path, tested: Sequence[Visit]) -> list[tuple[Any, Any]]:
    """For each list that was shown p(click) and p(conversion | click); of a bundle without a ranker its score twice."""
    bundle = open_bundle(path)
    recommender = Recommender(bundle)
    ranker = None if bundle.ranker is None else Ranker(bundle, recommender)
    found = []
    for visit in tested:
        encoding = recommender.encode([visit.stored])
        first = (recommender.items.vectors_of(visit.rows) @ encoding.query_vectors[0].T).max(axis=1)
        if ranker is None:
            found.append((first, first))
            continue
        weights = encoding.intent_weights * bool(visit.stored)
        click, conversion = ranker.chances([visit.context], weights, [Ranking(visit.rows, first)])
        found.append((click, conversion / click))
    return found


def clicks_a_list(path: Path, world: World, tested: Sequence[Visit]) -> dict[str, list[float]]:
    """User group -> the clicks that each list the engine would show can expect."""
    engine = Engine.load(path)
    found: dict[str, list[float]] = {group: [] for group in (EVERYBODY, *GROUPS)}
    for visit in tested:
        rows = engine.recommend([asked(visit, world)], Stages(observed=False))[0].ranking.rows
        at = replace(visit.user, reached=visit.reached)
        attractive = planted_clicks.chances(world, at, visit.group, visit.context, rows)[0]
        for group in (EVERYBODY, visit.group):
            found[group].append(float(attractive @ planted_clicks.seen(len(rows))))
    return found


def asked(visit: Visit, world: World) -> Question:
    """What the service would ask the engine."""
    history = [world.item_ids[row - 1] for row in visit.stored]
    return Question(history=history, k=SHOWN, seen=history, context=visit.context)


def took(path: Path, world: World, tested: Sequence[Visit]) -> float:
    """Milliseconds of the engine for one list, asked alone: the median."""
    engine, times = Engine.load(path), []
    for visit in tested[:1000]:
        question, started = asked(visit, world), time.perf_counter()
        engine.recommend([question], Stages(observed=False))
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def tell(
    found: dict[str, list[Metrics]],
    milliseconds: dict[str, float],
    shares: dict[str, list[float]],
    arguments: argparse.Namespace,
) -> None:
    """A line for each user group and metric, one for the time, one for the clusters."""
    place = {"dataset": "planted clicks", "seeds": arguments.seeds, "users": arguments.users}
    for group in (EVERYBODY, *GROUPS):
        for metric in found["B"][0][group]:
            values = {name: np.array([one[group][metric] for one in its]) for name, its in found.items()}
            means = {name: float(its.mean()) for name, its in values.items()}
            gain = interval(values["B+ELCM"] - values["B"])
            line = {"method": metric, "group": group, "metrics": means | gain}
            record(arguments.results, kind="experiment", ranker="B against B+ELCM", **place, **line)
            print(f"{group:9} {metric:14}", " ".join(f"{name} {value:.4f}" for name, value in line["metrics"].items()))
    line = {"method": "milliseconds a list", "metrics": milliseconds}
    record(arguments.results, kind="experiment", ranker="time", **place, **line)
    record(arguments.results, kind="experiment", ranker="clusters", method="B+ELCM", **place, shares=shares, metrics={})
    print(milliseconds)


def interval(differences: np.ndarray) -> dict[str, float]:
    """Mean over the seeds and its 95 % interval (Student's t)."""
    mean, count = float(differences.mean()), len(differences)
    half = float(stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    return {"difference": mean, "low": mean - half, "high": mean + half}


if __name__ == "__main__":
    main()
