"""What is not a whole, unaltered bundle is refused with a sentence, before anything of it is parsed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.bundle.files import BundleError, is_bundle, newest_bundle, open_bundle, write_bundle
from service.bundle.inputs import pack, truncate
from service.bundle.manifest import manifest_digits
from service.bundle.vocabulary import Vocabulary


def truncate_encoder(bundle: Path) -> None:
    data = (bundle / "encoder.onnx").read_bytes()
    (bundle / "encoder.onnx").write_bytes(data[:-1])


def flip_a_bit(bundle: Path) -> None:
    data = bytearray((bundle / "items.faiss").read_bytes())
    data[-1] ^= 1
    (bundle / "items.faiss").write_bytes(data)


def edit_manifest(bundle: Path) -> None:
    manifest = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(manifest.replace('"max_length": 4', '"max_length": 5'))


def lose_a_file(bundle: Path) -> None:
    (bundle / "vocabulary.json").unlink()


def link_a_file(bundle: Path) -> None:
    (bundle / "vocabulary.json").rename(bundle.parent / "elsewhere.json")
    (bundle / "vocabulary.json").symlink_to(bundle.parent / "elsewhere.json")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate_encoder, r"encoder.onnx has \d+ bytes, the manifest says \d+: it is truncated or altered"),
        (flip_a_bit, "items.faiss does not have the SHA-256 of the manifest: it was altered"),
        (edit_manifest, "the manifest was altered or the directory renamed"),
        (lose_a_file, "vocabulary.json is missing or not a plain file"),
        (link_a_file, "vocabulary.json is missing or not a plain file"),
    ],
)
def test_damage_is_refused(tiny_bundle: Path, tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    copy = tmp_path / tiny_bundle.name
    shutil.copytree(tiny_bundle, copy)
    open_bundle(copy)
    damage(copy)
    with pytest.raises(BundleError, match=said):
        open_bundle(copy)


def test_a_renamed_bundle_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "tiny-0123456789abcdef")
    with pytest.raises(BundleError, match="must end in the first 16 digits"):
        open_bundle(tmp_path / "tiny-0123456789abcdef")


def test_a_foreign_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest.json"):
        open_bundle(tmp_path)


def a_later_format(manifest: dict[str, Any]) -> None:
    manifest["format_version"] = 2


def a_field_of_a_later_format(manifest: dict[str, Any]) -> None:
    manifest["compression"] = "zstd"


def no_encoder(manifest: dict[str, Any]) -> None:
    del manifest["files"]["encoder.onnx"]


def a_file_elsewhere(manifest: dict[str, Any]) -> None:
    manifest["files"]["../../etc/passwd"] = manifest["files"]["encoder.onnx"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (a_later_format, "is not of this format: Input should be 1"),
        (a_field_of_a_later_format, "is not of this format: Extra inputs are not permitted"),
        (no_encoder, "a bundle holds .*encoder.onnx"),
        (a_file_elsewhere, "a bundle holds .*the manifest names .*passwd"),
    ],
)
def test_another_format_is_refused(
    tiny_bundle: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    """The id fits the manifest, so only the format can be at fault."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())
    change(manifest)
    text = json.dumps(manifest).encode()
    foreign = tmp_path / f"tiny-{manifest_digits(text)}"
    shutil.copytree(tiny_bundle, foreign)
    (foreign / "manifest.json").write_bytes(text)
    with pytest.raises(BundleError, match=said):
        open_bundle(foreign)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"null", b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "cut", "null", "not utf-8", "nested 100,000 deep"],
)
def test_a_manifest_that_is_no_manifest_is_refused(tmp_path: Path, text: bytes) -> None:
    foreign = tmp_path / f"tiny-{manifest_digits(text)}"
    foreign.mkdir()
    (foreign / "manifest.json").write_bytes(text)
    with pytest.raises(BundleError, match="is not of this format"):
        open_bundle(foreign)


def test_writing_leaves_a_whole_bundle_or_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a bundle holds"):
        write_bundle(tmp_path, {}, {"encoder.onnx": b""})
    assert list(tmp_path.iterdir()) == []


def test_the_newest_bundle_is_taken(tiny_bundle: Path, tmp_path: Path) -> None:
    assert newest_bundle(tmp_path) is None
    shutil.copytree(tiny_bundle, tmp_path / tiny_bundle.name)
    (tmp_path / ".writing-x").mkdir()
    assert newest_bundle(tmp_path) == tmp_path / tiny_bundle.name
    assert newest_bundle(tiny_bundle) == tiny_bundle
    assert not is_bundle(tmp_path)


def test_inputs_are_truncated_to_the_newest_and_laid_end_to_end() -> None:
    rows, lengths = pack([truncate([1, 2, 3], 2), [], [9]])
    assert (rows.tolist(), lengths.tolist()) == ([2, 3, 9], [2, 0, 1])
    assert pack([[]])[0].shape == (0,)


def test_the_vocabulary_goes_both_ways() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert (vocabulary.row("b"), vocabulary.item_id(1), vocabulary.row("c")) == (2, "a", None)
    assert vocabulary.split_known(["b", "x", "a"]) == ([2, 1], ["x"])
    assert vocabulary.known_rows(["b", "x", "b"]) == {2}
    with pytest.raises(IndexError, match=r"outside 1\.\.2"):
        vocabulary.item_id(0)
    with pytest.raises(ValueError, match="1 item_ids occur twice"):
        Vocabulary(["a", "a"])
