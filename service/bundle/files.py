"""Write a bundle atomically; open one only after every digest has been checked."""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from service.bundle.contents import IntentDescription, Item
from service.bundle.manifest import ID_DIGITS, FileDigest, Manifest, manifest_digits
from service.bundle.pacing import gently
from service.bundle.vocabulary import Vocabulary

MANIFEST = "manifest.json"
ENCODER = "encoder.onnx"
ITEM_INDEX = "items.faiss"
INTENT_INDEX = "intents.faiss"
VOCABULARY = "vocabulary.json"
ITEMS = "items.jsonl"
POPULARITY = "popularity.npy"
INTENTS = "intents.json"
TOPK = "topk.onnx"
COOCCURRENCE = "cooccurrence.npz"
RANKER = "ranker.onnx"
FILES = frozenset({ENCODER, ITEM_INDEX, INTENT_INDEX, VOCABULARY, ITEMS, POPULARITY, INTENTS})
OPTIONAL = frozenset({TOPK, COOCCURRENCE, RANKER})
LATER = ("ranker", "run")  # fields of the manifest that came after the first bundles
MANIFEST_LIMIT = 4 << 20  # bytes; a manifest is a few KiB


class BundleError(Exception):
    """The directory is not a whole, unaltered bundle of this format; the message says why."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle. Models and indices are the very bytes whose digests were checked."""

    bundle_id: str
    path: Path  # where it lay when it was opened
    manifest: Manifest
    encoder: bytes
    item_index: bytes
    intent_index: bytes
    vocabulary: Vocabulary
    items: list[Item]  # in row order: items[0] is row 1
    popularity: NDArray[np.int64]  # (V), interactions per item row in training
    intents: list[IntentDescription]
    topk: bytes | None  # a catalogue too large for exact scoring has none
    cooccurrence: bytes | None  # there if the manifest has a blend
    ranker: bytes | None  # there if the manifest has a second stage


def write_bundle(root: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Path:
    """Write `<root>/<name>-<digits>`; a reader sees the whole bundle or none. -> its path.

    `manifest` holds every field of Manifest except `files`. Raises ValueError unless `files` are FILES, with or
    without OPTIONAL ones.
    """
    if set(files) - OPTIONAL != FILES:
        raise ValueError(f"a bundle holds {sorted(FILES)}, got {sorted(files)}")
    digests = {name: FileDigest(size=len(data), sha256=_sha256(data)) for name, data in sorted(files.items())}
    checked = Manifest(**manifest, files=digests)
    absent = {name for name in LATER if getattr(checked, name) is None}  # readers from before take what has none
    manifest_json = checked.model_dump_json(indent=1, exclude=absent).encode()
    target = root / f"{checked.name}-{manifest_digits(manifest_json)}"
    root.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=root))
    try:
        for name, data in {**files, MANIFEST: manifest_json}.items():
            _write_durably(temporary / name, data)
        temporary.chmod(0o755)
        sync(temporary)
        if not target.exists():  # the same content has the same id: nothing to do
            temporary.rename(target)
            sync(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def open_bundle(path: Path) -> Bundle:
    """Check the id, which files there are, every size and every digest, and only then parse. Raises BundleError."""
    manifest = read_manifest(path)
    with _readable(path):
        if foreign := {file.name for file in path.iterdir()} - {MANIFEST, *manifest.files}:
            raise BundleError(f"{path.name} holds {sorted(foreign)}, which its manifest does not name")
        files = {name: _checked_file(path / name, digest) for name, digest in manifest.files.items()}
    try:
        vocabulary = Vocabulary(json.loads(files[VOCABULARY]))
        items = [Item.model_validate_json(line) for line in gently(files[ITEMS].splitlines())]
        popularity: NDArray[np.int64] = np.load(io.BytesIO(files[POPULARITY]), allow_pickle=False)
        intents = [IntentDescription.model_validate(entry) for entry in json.loads(files[INTENTS])]
    except (ValueError, TypeError) as error:
        raise BundleError(f"{path.name}: {error}") from error
    for name, found in {VOCABULARY: len(vocabulary), ITEMS: len(items), POPULARITY: len(popularity)}.items():
        if found != manifest.items:
            raise BundleError(f"{path.name}: {name} has {found} items, the manifest says {manifest.items}")
    if len(intents) != manifest.intents.count:
        raise BundleError(f"{path.name}: {INTENTS} has {len(intents)} intents, not {manifest.intents.count}")
    return Bundle(
        bundle_id=path.resolve().name,
        path=path,
        manifest=manifest,
        encoder=files[ENCODER],
        item_index=files[ITEM_INDEX],
        intent_index=files[INTENT_INDEX],
        vocabulary=vocabulary,
        items=items,
        popularity=popularity,
        intents=intents,
        topk=files.get(TOPK),
        cooccurrence=files.get(COOCCURRENCE),
        ranker=files.get(RANKER),
    )


def is_bundle(path: Path) -> bool:
    """Whether the directory looks like a bundle (it has a manifest); `open_bundle` says whether it is sound."""
    return (path / MANIFEST).is_file() and not path.name.startswith(".")


def find_bundles(root: Path) -> list[Path]:
    """`root` itself if it is a bundle, else the bundles in it, the most recently written first."""
    if is_bundle(root):
        return [root]
    found = [path for path in root.iterdir() if is_bundle(path)] if root.is_dir() else []
    return sorted(found, key=lambda path: ((path / MANIFEST).stat().st_mtime_ns, path.name), reverse=True)


def newest_bundle(root: Path) -> Path | None:
    """The first of `find_bundles`, or None."""
    return next(iter(find_bundles(root)), None)


def check_files(path: Path) -> None:
    """Check the id, every size and every digest, one file in memory at a time. Raises BundleError."""
    for name, digest in read_manifest(path).files.items():
        _checked_file(path / name, digest)


def read_manifest(path: Path) -> Manifest:
    """The manifest, its digest checked against the id. Raises BundleError."""
    with _readable(path):
        if not is_bundle(path):
            raise BundleError(f"{path} is not a bundle: it has no {MANIFEST}")
        if (path / MANIFEST).is_symlink():
            raise BundleError(f"{path.name}/{MANIFEST} is not a plain file")
        if (path / MANIFEST).stat().st_size > MANIFEST_LIMIT:
            raise BundleError(f"{path.name}: {MANIFEST} is larger than {MANIFEST_LIMIT} bytes")
        manifest_json = (path / MANIFEST).read_bytes()
    claimed = path.resolve().name.rpartition("-")[2]
    if claimed != (found := manifest_digits(manifest_json)):
        raise BundleError(
            f"{path.name}: the id must end in the first {ID_DIGITS} digits of the manifest's SHA-256, {found}: "
            "the manifest was altered or the directory renamed; publish the bundle again"
        )
    try:
        manifest = Manifest.model_validate_json(manifest_json)
    except ValidationError as error:
        raise BundleError(f"{path.name}: {MANIFEST} is not of this format: {error.errors()[0]['msg']}") from error
    if set(manifest.files) - OPTIONAL != FILES:
        raise BundleError(f"{path.name}: a bundle holds {sorted(FILES)}, the manifest names {sorted(manifest.files)}")
    if (manifest.blend is None) != (COOCCURRENCE not in manifest.files):
        raise BundleError(f"{path.name}: {COOCCURRENCE} and the manifest's blend belong together")
    if (manifest.ranker is None) != (RANKER not in manifest.files):
        raise BundleError(f"{path.name}: {RANKER} and the manifest's ranker belong together")
    return manifest


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BundleError(f"{path.name} cannot be read: {error}") from error


def _checked_file(path: Path, digest: FileDigest) -> bytes:
    where = f"{path.parent.name}/{path.name}"
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{where} is missing or not a plain file")
    if (size := path.stat().st_size) != digest.size:
        raise BundleError(f"{where} has {size} bytes, the manifest says {digest.size}: it is truncated or altered")
    data = path.read_bytes()
    if _sha256(data) != digest.sha256:
        raise BundleError(f"{where} does not have the SHA-256 of the manifest: it was altered")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
    sync(path)


def sync(path: Path) -> None:
    """Let what was written to a file, or renamed in a directory, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
