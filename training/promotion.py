"""A new bundle takes the place of the served one, unless it ranks worse: the gate of an unattended training."""

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.bundle.files import MANIFEST, Bundle, BundleError, check_files, find_bundles, open_bundle, sync
from training.baselines import popularity
from training.bundle_evaluation import open_for, split_for, top_rows_of_bundle
from training.metrics import Floats, ndcg, ranks
from training.prepared import PreparedDataset, load_prepared
from training.sequences import Integers, Sequences, Split, training_sequences
from training.significance import Comparison, paired_bootstrap

CRITERION, CUTOFF = "NDCG@20", 20
STAGING = ".promoting"  # in the directory; nobody looks for bundles there


class PromotionRefusedError(ValueError):
    """The bundle would be a step back. What is served stays."""


@dataclass(frozen=True)
class Rival:
    """What the bundle was held against, and by how much it is better."""

    name: str
    criterion: float
    gain: Comparison


@dataclass(frozen=True)
class Promotion:
    """Where the bundle lies now, and how it ranks beside others."""

    path: Path
    criterion: float
    rivals: list[Rival]

    def summary(self) -> str:
        """What a person wants to read in the log of the job."""
        lines = [f"{CRITERION}  {self.criterion:.5f}  {self.path.name}"]
        lines += [f"{CRITERION}  {one.criterion:.5f}  {one.name}: {_in_words(one.gain)}" for one in self.rivals]
        return "\n".join([*lines, f"wrote {self.path}"])


def promote(candidate: Path, data: Path, into: Path, *, largest_loss: float = 0.05) -> Promotion:
    """Copy the bundle into `into`, where services look for the newest, if it passes on the test split of its data.

    It must rank no worse than popularity, and lose at most the share `largest_loss` of the criterion of the newest
    sound bundle there. Raises PromotionRefusedError, BundleError, ValueError.
    """
    dataset = load_prepared(data)
    bundle = open_for(candidate, dataset)
    split = split_for(bundle, dataset, "test")
    popular = popularity(training_sequences(dataset), len(dataset.item_ids), split)
    lists = [("popularity", popular, 0.0)]
    if (served := _served(into)) is not None:
        lists.append((served.bundle_id, top_rows_by_item_id(served, split, dataset), largest_loss))
    its = _criterion(top_rows_of_bundle(bundle, split), split)
    rivals = []
    for name, found, may_lose in lists:
        theirs = _criterion(found, split)
        rival = Rival(name, float(theirs.mean()), paired_bootstrap(its, theirs))
        if rival.gain.difference < -may_lose * rival.criterion:
            raise PromotionRefusedError(
                f"{bundle.bundle_id} was not promoted: {CRITERION} {its.mean():.5f} beside {rival.criterion:.5f} of "
                f"{name}, {_in_words(rival.gain)}; it may lose {may_lose:.0%}"
            )
        rivals.append(rival)
    return Promotion(_copied(bundle.path, into), float(its.mean()), rivals)


def top_rows_by_item_id(bundle: Bundle, split: Split, dataset: PreparedDataset) -> Integers:
    """The lists of a bundle of other data for these users, as rows of this dataset: what both share is item ids.

    It is asked as a service asks it: items that it does not know are left out of a history. What it recommends and this
    dataset lacks becomes 0, which is no target.
    """
    rows = np.array([0, *(bundle.vocabulary.row(item_id) or 0 for item_id in dataset.item_ids)])
    row_of = {item_id: row for row, item_id in enumerate(dataset.item_ids, start=1)}
    back = np.array([0, *(row_of.get(bundle.vocabulary.item_id(row), 0) for row in range(1, len(bundle.items) + 1))])
    translated = Split(split.name, split.users, _mapped(split.histories, rows), rows[split.targets])
    return np.asarray(back[top_rows_of_bundle(bundle, translated)])


def _served(into: Path) -> Bundle | None:
    """As a service chooses: the newest sound one."""
    for path in find_bundles(into):
        with suppress(BundleError):
            return open_bundle(path)
    return None


def _mapped(sequences: Sequences, rows: Integers) -> Sequences:
    """Each item row replaced, those that become 0 left out."""
    mapped = rows[sequences.rows]
    before = np.concatenate([[0], np.cumsum(mapped > 0)])  # how many are kept before each place
    starts = before[sequences.starts]
    return Sequences(mapped[mapped > 0], starts, before[sequences.starts + sequences.lengths] - starts)


def _criterion(lists: Integers, split: Split) -> Floats:
    return ndcg(ranks(lists, split.targets), CUTOFF)


def _in_words(gain: Comparison) -> str:
    return f"{gain.difference:+.5f}, 95 % [{gain.low:+.5f}, {gain.high:+.5f}]"


def _copied(bundle: Path, into: Path) -> Path:
    """Whole or not at all, and from then on the newest."""
    target = into / bundle.resolve().name
    if _is_sound(target):  # the same content has the same id: only its place in the order is new
        _make_newest(target / MANIFEST, into)
        return target
    aside, damaged = into / STAGING / target.name, into / STAGING / f"{target.name}.damaged"
    for left in (aside, damaged):  # by a job that was killed
        shutil.rmtree(left, ignore_errors=True)
    aside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle, aside, copy_function=shutil.copyfile)
    check_files(aside)
    _make_newest(aside / MANIFEST, into)
    for path in (*aside.iterdir(), aside):
        sync(path)
    if os.path.lexists(target):  # no service takes it; a directory can only be renamed to where none is
        target.rename(damaged)
    aside.rename(target)
    sync(into)
    shutil.rmtree(damaged, ignore_errors=True)
    return target


def _is_sound(target: Path) -> bool:
    """Whether it is there and a service would take it."""
    try:
        open_bundle(target)
    except BundleError:
        return False
    return True


def _make_newest(manifest: Path, into: Path) -> None:
    """As find_bundles orders: by the time that the manifest was written, even beside one from a clock ahead of ours."""
    others = [path / MANIFEST for path in find_bundles(into)]
    latest = max((path.stat().st_mtime_ns for path in others if path != manifest), default=0)
    now = max(time.time_ns(), latest + 1)
    os.utime(manifest, ns=(now, now))
    sync(manifest)
