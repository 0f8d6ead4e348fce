"""Bundles come, are swapped in whole, and cannot do harm."""

import gc
import json
import logging
import os
import weakref
from pathlib import Path

import pytest

from service.bundle import files
from service.bundle.manifest import Manifest
from service.errors import NotReadyError, UnknownBundleError
from service.registry import Registry


def rewritten(bundle: Path, root: Path, name: str, **replaced: bytes) -> Path:
    """A bundle under another name, with right digests over whatever its files now hold."""
    manifest = Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
    held = {one: (bundle / one).read_bytes() for one in files.FILES | {files.TOPK}} | replaced
    return files.write_bundle(root, manifest.model_dump(exclude={"files"}) | {"name": name}, held)


def newer(bundle: Path, seconds: int) -> Path:
    os.utime(bundle / "manifest.json", (seconds, seconds))
    return bundle


async def test_a_newer_bundle_takes_over_and_the_old_id_is_no_longer_served(tiny_bundle: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    await registry.refresh()
    assert not registry.ready
    with pytest.raises(NotReadyError, match="no bundle in"):
        registry.engine()
    first = newer(rewritten(tiny_bundle, tmp_path, "first"), 1)
    await registry.refresh()
    assert registry.engine().bundle_id == first.name
    second = newer(rewritten(tiny_bundle, tmp_path, "second"), 2)
    held = registry.engine()
    await registry.refresh()
    assert registry.engine(second.name).bundle_id == second.name
    assert held.bundle_id == first.name, "a request under way keeps its whole engine"
    with pytest.raises(UnknownBundleError):
        registry.engine(first.name)


async def test_a_replaced_engine_goes_at_once_without_the_collector(tiny_bundle: Path, tmp_path: Path) -> None:
    """The registry never collects: an engine in a cycle would stay for ever."""
    registry = Registry(tmp_path)
    newer(rewritten(tiny_bundle, tmp_path, "first"), 1)
    await registry.refresh()
    old = weakref.ref(registry.engine())
    newer(rewritten(tiny_bundle, tmp_path, "second"), 2)
    gc.disable()
    try:
        await registry.refresh()
        assert old() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "broken",
    [
        {"encoder.onnx": b"not a graph"},
        {"items.faiss": b"not an index"},
        {"vocabulary.json": json.dumps(["a", "b"]).encode()},
        {"popularity.npy": b"\x93NUMPY"},
    ],
    ids=lambda broken: next(iter(broken)),
)
async def test_a_bundle_that_cannot_be_loaded_leaves_the_old_one_serving(
    tiny_bundle: Path, tmp_path: Path, broken: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Its digests are right and its content is not; it is refused once, with its name, and not every second."""
    registry = Registry(tmp_path)
    with caplog.at_level(logging.ERROR, "intently"):
        bad = newer(rewritten(tiny_bundle, tmp_path, "bad", **broken), 9)
        await registry.refresh()
        with pytest.raises(NotReadyError, match=bad.name):
            registry.engine()
        sound = newer(rewritten(tiny_bundle, tmp_path, "sound"), 1)
        for _ in range(3):
            await registry.refresh()
    assert registry.engine().bundle_id == sound.name
    assert len(caplog.records) == 1
    assert bad.name in caplog.text


async def test_a_link_to_the_current_bundle_can_be_moved(tiny_bundle: Path, tmp_path: Path) -> None:
    first, second = (rewritten(tiny_bundle, tmp_path / "all", name) for name in ("first", "second"))
    link = tmp_path / "current"
    link.symlink_to(first)
    registry = Registry(link)
    await registry.refresh()
    (tmp_path / "next").symlink_to(second)
    (tmp_path / "next").rename(link)
    await registry.refresh()
    assert registry.engine().bundle_id == second.name
