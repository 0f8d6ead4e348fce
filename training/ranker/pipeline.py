"""The whole path from a bundle and exposures to a bundle with a second stage, one step a line."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from models.ranker import Examination, Ranker
from service.bundle.files import RANKER, Bundle, BundleError, newest_bundle, open_bundle, write_bundle
from service.bundle.manifest import SecondStage
from service.inference.ranker import DAY, context_width
from training.blending import NoGainError
from training.ranker.config import RankerConfig
from training.ranker.drawing import draw_clusters
from training.ranker.evaluation import EVERYBODY, Shown, measured, shares
from training.ranker.examples import Examples, attribute_values, examples_of
from training.ranker.export import export_ranker
from training.ranker.exposures import Exposures, NoExposuresError, read_exposures
from training.ranker.loop import chances, clusters, train
from training.sequences import Integers

WHOLE = 0.9  # share of whole histories below which a person should know
SHOWN = ("lists", "CTR AUC", "first stage/CTR AUC", "list AUC", "first stage/list AUC", "CVR AUC")


@dataclass(frozen=True)
class Ranked:
    """The new bundle and what its manifest says of the ranker."""

    path: Path
    parent: str
    second_stage: SecondStage

    def summary(self) -> str:
        """What a person wants to read at the end."""
        its = self.second_stage
        lines = [f"{'last day':12} " + " ".join(f"{name:>20}" for name in SHOWN)]
        for group, metrics in its.metrics.items():
            cells = (f"{metrics[name]:>20.4f}" if name in metrics else f"{'':>20}" for name in SHOWN)
            lines.append(f"{group:12} " + " ".join(cells))
        if its.whole_histories < WHOLE:
            lines.append(
                f"warning      only {its.whole_histories:.0%} of the lists were made for users whose events the log "
                "holds whole: what the others had done before is not known to the ranker"
            )
        return "\n".join([*lines, f"wrote {self.path}"])


def train_ranker(path: Path, exposures: Path, root: Path, config: RankerConfig, work: Path) -> Ranked:
    """Learn from all days but the last, choose the epoch and measure on the last, write the bundle.

    Raises BundleError, NoExposuresError, ParityError, and NoGainError unless lists are ranked better than by the first
    stage alone. `work` keeps the log of the epochs and the picture of the clusters.
    """
    bundle = _opened(path)
    log = read_exposures(exposures, [item.item_id for item in bundle.items], config)
    learn, check = days(log)
    its = _second_stage(config, log)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("encoding histories", total=len(log))
        examples = examples_of(log, bundle, its, lambda done: progress.advance(task, done))
    torch.manual_seed(config.training.seed)
    widths = (context_width(its), bundle.manifest.intents.count, bundle.manifest.dimensions)
    ranker = Ranker(*widths, config.model_options())
    work.mkdir(parents=True, exist_ok=True)
    (work / "log.jsonl").unlink(missing_ok=True)
    seen = train(ranker, examples, learn, check, config.training, work / "log.jsonl")
    its = _judged(its, ranker, seen, examples, log, check)
    if its.clusters:
        groups, found = _grouped(ranker, examples, log, check)
        draw_clusters(groups, found, its.clusters, work / "clusters.svg")
        its = its.model_copy(update={"cluster_shares": shares(groups, found, its.clusters)})
    check_gain(its, bundle.bundle_id)
    return Ranked(_written(bundle, its, export_ranker(ranker, widths), config, root), bundle.bundle_id, its)


def days(log: Exposures) -> tuple[Integers, Integers]:
    """Numbers of the lists before the last day (UTC) and of that day. Raises NoExposuresError."""
    found = log.timestamps // DAY
    last = found == found.max(initial=0)
    learn, check = np.flatnonzero(~last), np.flatnonzero(last)
    for lists, when in ((learn, "before the last day"), (check, "on the last day")):
        clicks = log.clicked[np.isin(log.owners, lists)].sum()
        if not clicks:
            raise NoExposuresError(f"wanted lists with clicks {when}, found {len(lists):,} lists with none")
    return learn, check


def _opened(path: Path) -> Bundle:
    found = newest_bundle(path)
    if found is None:
        raise BundleError(f"{path} holds no bundle")
    return open_bundle(found)


def _second_stage(config: RankerConfig, log: Exposures) -> SecondStage:
    """Before anything is known of how it does."""
    return SecondStage(
        candidates=config.candidates,
        conversion_value=config.conversion_value,
        activity_thresholds=config.activity_thresholds,
        attributes=attribute_values(log, config.most_values),
        clusters=config.model_options().clusters,
        exposures=len(log),
        whole_histories=0,
        config=config.model_dump(mode="json"),
    )


def _judged(
    its: SecondStage, ranker: Ranker, seen: Examination, examples: Examples, log: Exposures, check: Integers
) -> SecondStage:
    """With what the last day says."""
    places, owners = examples.candidates(check)
    groups = np.array(log.groups)
    looked = seen.table().detach().exp()
    position = examples.positions[places].clamp(max=len(looked) - 1)
    shown = Shown(
        owners=owners,
        groups=groups[check][owners],
        clicked=log.clicked[places].astype(np.float64),
        converted=log.converted[places].astype(np.float64),
        seen=looked[position].double().numpy(),
    )
    first = examples.facts[places, 0].double().numpy()
    found = {
        "whole_histories": examples.whole,
        "position_weights": looked.tolist(),
        "metrics": measured(shown, first, *chances(ranker, examples, check)),
    }
    return its.model_copy(update=found)


def _grouped(ranker: Ranker, examples: Examples, log: Exposures, check: Integers) -> tuple[NDArray[np.str_], Integers]:
    """User group and cluster of every user of the last day, by the last list of each."""
    newest = check[len(check) - 1 - np.unique(log.users[check][::-1], return_index=True)[1]]
    return np.array(log.groups)[newest], clusters(ranker, examples, newest)


def check_gain(its: SecondStage, parent: str) -> None:
    """Raises NoGainError unless lists are ordered better than by the first stage alone."""
    metrics = its.metrics[EVERYBODY]
    ours, first = metrics.get("list AUC", 0.0), metrics.get("first stage/list AUC", 0.0)
    if ours <= first:
        raise NoGainError(
            f"the ranker orders the lists of the last day no better than {parent} alone: list AUC "
            f"{ours:.4f}, wanted more than {first:.4f}; give it more exposures"
        )


def _written(bundle: Bundle, its: SecondStage, model: bytes, config: RankerConfig, root: Path) -> Path:
    """The same files and the ranker, which takes the place of one that was there."""
    manifest = bundle.manifest
    files = {name: (bundle.path / name).read_bytes() for name in manifest.files} | {RANKER: model}
    described = manifest.model_dump(exclude={"files", "format_version"}) | {
        "name": config.name or f"{manifest.name.removesuffix('-ranked')[:57]}-ranked",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "parent": bundle.bundle_id,
        "ranker": its,
    }
    return write_bundle(root, described, files)
