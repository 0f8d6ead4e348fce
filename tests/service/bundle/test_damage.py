"""Damage of any kind at any place is refused with BundleError before anything is parsed."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.damage import BITS, each_exchange, flipped, is_refused, written
from service.bundle import files
from service.bundle.files import MANIFEST, BundleError, open_bundle

NOBODY = 65534
ANY_FILE = sorted({*files.FILES, files.TOPK, MANIFEST})
often = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_bundle, tmp_path / tiny_bundle.name)
    assert sorted(path.name for path in (tmp_path / tiny_bundle.name).iterdir()) == ANY_FILE
    return tmp_path / tiny_bundle.name


@contextmanager
def no_parser(*names: str) -> Iterator[None]:
    """Whatever parses is not there: who used it would fail with another error."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("json", "np", "Item", "IntentDescription", "Vocabulary", *names):
            patch.setattr(files, name, None)
        yield


@often
@given(data=st.data())
def test_any_bit_of_the_manifest_counts(copy: Path, data: st.DataObject) -> None:
    content = (copy / MANIFEST).read_bytes()
    bit = data.draw(st.integers(0, len(content) * BITS - 1))
    with written(copy / MANIFEST, flipped(content, bit)), no_parser("Manifest"):
        assert is_refused(copy)


@often
@given(name=st.sampled_from(ANY_FILE), data=st.data())
def test_any_bit_and_any_byte_of_any_file_counts(copy: Path, name: str, data: st.DataObject) -> None:
    """Flipped, cut off, or added."""
    content = (copy / name).read_bytes()
    length = len(content)
    damaged = data.draw(
        st.integers(0, length * BITS - 1).map(lambda bit: flipped(content, bit))
        | st.integers(0, length - 1).map(lambda kept: content[:kept])
        | st.binary(min_size=1, max_size=9).map(lambda more: content + more)
    )
    with written(copy / name, damaged), no_parser():
        assert is_refused(copy)


def test_exchanged_files_are_refused(copy: Path) -> None:
    with no_parser():
        found = list(each_exchange(copy))
    assert (len(found), all(found)) == (9 * 8, True)
    assert open_bundle(copy).bundle_id == copy.name, "and the bundle is whole again"


def add_a_file(path: Path) -> None:
    (path.parent / "more.bin").write_bytes(b"")


def become_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_pipe(path: Path) -> None:
    """Who opened it would wait for ever."""
    path.unlink()
    os.mkfifo(path)


def become_a_link(path: Path) -> None:
    elsewhere = path.parent.parent / path.name
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def vanish(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("name", ANY_FILE)
@pytest.mark.parametrize("damage", [add_a_file, become_a_directory, become_a_pipe, become_a_link, vanish])
def test_what_is_no_plain_file_of_the_manifest_is_refused(
    copy: Path, damage: Callable[[Path], None], name: str
) -> None:
    damage(copy / name)
    with no_parser(), pytest.raises(BundleError):
        open_bundle(copy)


@pytest.fixture
def without_privileges() -> Iterator[None]:
    """Root may read everything: be nobody for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(user)


@pytest.fixture
def readable_by_all(tiny_bundle: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(tiny_bundle, Path(folder) / tiny_bundle.name)
        yield Path(folder) / tiny_bundle.name


@pytest.fixture(params=[*ANY_FILE, ""], ids=[*ANY_FILE, "the directory"])
def unreadable(readable_by_all: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    hidden = readable_by_all / request.param
    before = hidden.stat().st_mode
    hidden.chmod(0)
    yield readable_by_all
    hidden.chmod(before)


def test_what_cannot_be_read_is_refused(unreadable: Path, without_privileges: None) -> None:
    with no_parser(), pytest.raises(BundleError, match=r"cannot be read: .*Permission denied"):
        open_bundle(unreadable)
