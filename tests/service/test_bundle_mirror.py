"""Bundles come from a file system elsewhere: a real FTP server, in a process of its own."""

import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.bundle.files import MANIFEST, find_bundles, open_bundle
from service.bundle_mirror import STAGING, Mirror, mirrored
from tests.conftest import write_tiny_bundle
from tests.http_calls import free_port
from tests.service.test_processes import Service, eventually


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """What the FTP server shows."""
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


@pytest.fixture
def url(shelf: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", str(port), "-d", str(shelf)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(port))
        yield f"ftp://127.0.0.1:{port}/"
    finally:
        server.kill()
        server.wait()


def listens(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True


def test_new_bundles_are_copied_once_and_whole(shelf: Path, url: str, tmp_path: Path) -> None:
    published = write_tiny_bundle(shelf)
    mirror = Mirror(url, tmp_path / "here")
    assert mirror.pull() == [published.name]
    assert mirror.pull() == []
    assert open_bundle(tmp_path / "here" / published.name).manifest == open_bundle(published).manifest
    assert find_bundles(tmp_path / "here") == [tmp_path / "here" / published.name]


def test_an_altered_bundle_is_refused_said_once_and_taken_once_it_is_whole(
    shelf: Path, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    published = write_tiny_bundle(shelf)
    whole = (published / "items.jsonl").read_bytes()
    (published / "items.jsonl").write_bytes(whole[:-1])
    mirror = Mirror(url, tmp_path / "here")
    with caplog.at_level(logging.ERROR):
        assert (mirror.pull(), mirror.pull()) == ([], [])
    assert [record.message for record in caplog.records] == [
        f"cannot copy {published.name} from {url}: {published.name}/items.jsonl has {len(whole) - 1} bytes, "
        f"the manifest says {len(whole)}: it is truncated or altered"
    ]
    assert find_bundles(tmp_path / "here") == []
    assert list((tmp_path / "here" / STAGING).iterdir()) == []
    (published / "items.jsonl").write_bytes(whole)
    assert mirror.pull() == [published.name]


def test_only_names_of_bundles_are_taken(shelf: Path, url: str, tmp_path: Path) -> None:
    """Neither a hidden directory nor one whose name has no digest."""
    published = write_tiny_bundle(shelf)
    for name in (".hidden-0123456789abcdef", "no-digest"):
        shutil.copytree(published, shelf / name)
    assert Mirror(url, tmp_path / "here").pull() == [published.name]
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [STAGING, published.name]


@pytest.mark.parametrize("times", ["of the files", "of the trainings"])
def test_the_newest_there_is_the_newest_here(shelf: Path, url: str, tmp_path: Path, times: str) -> None:
    """Whatever the order in which a replica copies them; an FTP server is not asked for times, the disk is."""
    names, days = ["a", "d", "b", "c"], [3, 4, 1, 2]
    published = {}
    for name, day in zip(names, days, strict=True):
        published[day] = write_tiny_bundle(shelf, name, created=f"2026-01-0{day if times == 'of the trainings' else 1}")
        os.utime(published[day] / MANIFEST, (day, day))
    here = tmp_path / "here"
    mirror = Mirror(url if times == "of the trainings" else f"file://{shelf}", here)
    assert mirror.pull() == [published[day].name for day in ((4, 3, 2, 1) if times == "of the files" else (4, 2, 1, 3))]
    assert [path.name for path in find_bundles(here)] == [published[day].name for day in (4, 3, 2, 1)]


def test_a_bundle_that_is_promoted_again_is_the_newest_here_too(shelf: Path, tmp_path: Path) -> None:
    old, new = (write_tiny_bundle(shelf, name) for name in ("a", "b"))
    for bundle, seconds in ((old, 1), (new, 2)):
        os.utime(bundle / MANIFEST, (seconds, seconds))
    mirror = Mirror(f"file://{shelf}", tmp_path / "here")
    assert mirror.pull() == [new.name, old.name]
    os.utime(old / MANIFEST, (3, 3))
    assert mirror.pull() == []
    assert [path.name for path in find_bundles(tmp_path / "here")] == [old.name, new.name]


def test_while_the_server_is_away_what_was_copied_stays(shelf: Path, url: str, tmp_path: Path) -> None:
    """And a bundle removed there stays too: it may be served."""
    published = write_tiny_bundle(shelf)
    mirror = Mirror(url, tmp_path / "here")
    mirror.pull()
    shutil.rmtree(published)
    assert mirror.pull() == []
    assert Mirror(f"ftp://127.0.0.1:{free_port()}/", tmp_path / "here").pull() == []
    assert [path.name for path in find_bundles(tmp_path / "here")] == [published.name]


def test_no_secret_of_the_url_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        Mirror(f"ftp://user:secret@127.0.0.1:{free_port()}/bundles?token=secret", tmp_path).pull()
    assert caplog.records[0].message.startswith("cannot copy bundles from ftp://127.0.0.1:")
    assert "secret" not in caplog.text


def test_a_missing_library_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        Mirror("s3://models/shop", tmp_path).pull()
    assert "s3fs" in caplog.text


def test_a_bundle_published_later_follows_by_itself(shelf: Path, url: str, tmp_path: Path) -> None:
    with mirrored(url, tmp_path / "here", seconds=0.05):
        published = write_tiny_bundle(shelf)
        eventually((tmp_path / "here" / published.name / MANIFEST).is_file)


def test_a_service_answers_from_bundles_of_a_url(shelf: Path, url: str, tmp_path: Path) -> None:
    write_tiny_bundle(shelf)
    service = Service(tmp_path / "here", f"sqlite:///{tmp_path}/store.sqlite3", more=["--mirror", url])
    try:
        eventually(service.ready)
    finally:
        assert service.stop()[0] == 0
