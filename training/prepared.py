"""The prepared dataset: sequences, vocabulary and items as Parquet, and a manifest."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

MANIFEST = "manifest.json"
SEQUENCES = "sequences.parquet"
VOCABULARY = "vocabulary.parquet"
ITEMS = "items.parquet"
REJECTS = "rejects.csv"
FIRST, REST = "first.parquet", "rest.parquet"  # the log on both sides of the cut, with holdout `rest`
FORMAT_VERSION = 1
Holdout = Literal["last", "temporal", "rest"]


@dataclass(frozen=True)
class PreparedDataset:
    """What `intently-train prepare` wrote, in memory. Item rows are 1-based."""

    name: str
    user_ids: list[str]
    rows: NDArray[np.int64]  # all sequences end to end, oldest first
    offsets: NDArray[np.int64]  # (U + 1) where each user's sequence begins
    item_ids: list[str]  # item_ids[0] is row 1
    counts: NDArray[np.int64]  # (V) interactions per item
    titles: list[str | None]
    categories: list[str | None]
    attributes: list[dict[str, Any]]
    manifest: dict[str, Any]
    before_cut: NDArray[np.int64] | None = None  # (U) items of each user before the cut, where there is one

    @property
    def holdout(self) -> Holdout:
        """What is held out: each user's last items, what happened after one moment, or the rest of each sequence."""
        found: Holdout = self.manifest["options"].get("holdout", "last")
        return found

    @property
    def fingerprint(self) -> str:
        """Names the input and everything done to it."""
        return str(self.manifest["fingerprint"])


def dataset_name(directory: Path) -> str:
    """The name of a prepared dataset. Raises ValueError when the directory is none."""
    return str(_manifest(directory)["name"])


def load_prepared(directory: Path) -> PreparedDataset:
    """Read a prepared directory. Raises ValueError when it is none, or of another version."""
    manifest = _manifest(directory)
    sequences = pl.scan_parquet(directory / SEQUENCES).select(pl.exclude("timestamps")).collect()
    vocabulary = pl.read_parquet(directory / VOCABULARY).sort("item_row")
    items = pl.read_parquet(directory / ITEMS).sort("item_row")
    lengths = sequences["item_rows"].list.len().to_numpy().astype(np.int64)
    return PreparedDataset(
        name=str(manifest["name"]),
        user_ids=sequences["user_id"].to_list(),
        rows=sequences["item_rows"].explode(empty_as_null=False).to_numpy().astype(np.int64),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item_ids=vocabulary["item_id"].to_list(),
        counts=vocabulary["count"].to_numpy().astype(np.int64),
        titles=items["title"].to_list(),
        categories=items["category"].to_list(),
        attributes=[json.loads(entry) if entry else {} for entry in items["attributes"].to_list()],
        manifest=manifest,
        before_cut=sequences["before_cut"].to_numpy().astype(np.int64) if "before_cut" in sequences.columns else None,
    )


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.is_file():
        raise ValueError(f"{directory} is not a prepared dataset: run `intently-train prepare LOG --out {directory}`")
    manifest: dict[str, Any] = json.loads(path.read_text())
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{directory} has format {manifest.get('format_version')}, wanted {FORMAT_VERSION}: prepare again"
        )
    return manifest
