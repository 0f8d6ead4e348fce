"""`intently-train download` against a web server of the tests' own that ranges, breaks off, lies and refuses."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from training.cli import app
from training.fetching import ATTEMPTS, FetchError, fetch, unpack
from training.public_datasets import PUBLIC_DATASETS

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class FileServer(ThreadingHTTPServer):
    """Serves `content` under any path, as its fields say; `asked` are the Range headers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.version: str | None = '"one"'
        self.ranges = True
        self.breaks: list[int] = []  # after so many bytes of an answer, the next first
        self.status = 200
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        its, wanted = self.server, self.headers.get("Range")
        its.asked.append(wanted)
        if its.status != 200:
            self.send_error(its.status)
            return
        same = self.headers.get("If-Range") == its.version
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and its.ranges and same else 0
        if start and start >= len(its.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(its.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(its.content) - 1}/{len(its.content)}")
        if its.version:
            self.send_header("ETag", its.version)
        self.send_header("Content-Length", str(len(its.content) - start))
        self.end_headers()
        self.wfile.write(its.content[start:][: its.breaks.pop(0) if its.breaks else None])

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as its:
        thread = Thread(target=its.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield its
        its.shutdown()
        thread.join()


def bring(server: FileServer, folder: Path, checksum: str | None = MD5) -> str:
    return fetch(f"{server.url}/file.bin", folder / "file.bin", checksum, lambda have, total: None, pause=0)


def test_a_file_comes_whole_and_once(server: FileServer, tmp_path: Path) -> None:
    """What is there and right is not asked for again."""
    assert bring(server, tmp_path) == bring(server, tmp_path) == SHA256
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_a_broken_connection_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [300_000, 500_000]
    assert bring(server, tmp_path) == SHA256
    assert server.asked == [None, "bytes=300000-", "bytes=800000-"]


def test_another_command_goes_on_where_the_first_was_stopped(server: FileServer, tmp_path: Path) -> None:
    """Nothing has come for as many attempts as are made; then the server is well again."""
    server.breaks = [700_000] + [0] * ATTEMPTS
    with pytest.raises(FetchError, match=r"ended after 700,000 of 1,024,000 bytes.*the same command goes on"):
        bring(server, tmp_path)
    assert not (tmp_path / "file.bin").exists()
    server.breaks = []
    assert bring(server, tmp_path) == SHA256
    assert server.asked[-1] == "bytes=700000-"


def test_all_there_but_not_yet_named(server: FileServer, tmp_path: Path) -> None:
    """As if it was killed between the last byte and the new name: the server has no more (416)."""
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    (tmp_path / "file.bin.part.version").write_text('"one"')
    assert bring(server, tmp_path) == SHA256
    assert server.asked == ["bytes=1024000-"]


@pytest.mark.parametrize("without", ["ranges", "version"])
def test_without_ranges_it_begins_anew(server: FileServer, tmp_path: Path, without: str) -> None:
    """A server that ignores Range, and one that does not say which state of the file it has."""
    setattr(server, without, None)
    server.breaks = [300_000]
    assert bring(server, tmp_path) == SHA256
    assert len(server.asked) == 2


def test_a_file_that_changed_meanwhile_is_not_patched_together(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [300_000] + [0] * ATTEMPTS
    with pytest.raises(FetchError):
        bring(server, tmp_path, None)
    server.breaks, server.content, server.version = [], CONTENT[::-1], '"two"'
    bring(server, tmp_path, None)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT[::-1]


def test_a_wrong_checksum_leaves_nothing(server: FileServer, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(FetchError, match=r"not what was published \(md5\): wanted .*It was removed"):
        bring(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_checksum_the_first_download_is_trusted_and_noted(server: FileServer, tmp_path: Path) -> None:
    """A later one, into a folder where the file was removed, must be the same."""
    assert bring(server, tmp_path, None) == SHA256
    assert (tmp_path / "file.bin.sha256").read_text() == f"{SHA256}  file.bin\n"
    (tmp_path / "file.bin").unlink()
    server.content, server.version = CONTENT[::-1], '"two"'
    with pytest.raises(FetchError, match=r"not what was noted in file\.bin\.sha256"):
        bring(server, tmp_path, None)


def test_a_damaged_file_is_noticed(server: FileServer, tmp_path: Path) -> None:
    bring(server, tmp_path)
    (tmp_path / "file.bin").write_bytes(CONTENT[:1000])
    with pytest.raises(FetchError, match="It was removed"):
        bring(server, tmp_path)
    assert bring(server, tmp_path) == SHA256


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (429, ATTEMPTS), (503, ATTEMPTS)])
def test_a_refusal_says_why_and_what_to_do(server: FileServer, tmp_path: Path, status: int, attempts: int) -> None:
    """What is not there is asked for once; a server that is busy or in trouble, several times."""
    server.status = status
    with pytest.raises(FetchError, match=rf"the server answers {status} .*(--mirror|goes on)"):
        bring(server, tmp_path)
    assert len(server.asked) == attempts


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, f"content of {name}")
    return content.getvalue()


def test_only_named_members_are_unpacked(tmp_path: Path) -> None:
    """What an archive calls `../evil` or `/etc/evil` is not looked at."""
    (tmp_path / "a.zip").write_bytes(zipped("ml-1m/ratings.dat", "../evil", "/etc/evil", "ml-1m/users.dat"))
    assert unpack(tmp_path / "a.zip", ("ml-1m/ratings.dat",), tmp_path / "out") == [tmp_path / "out/ml-1m/ratings.dat"]
    assert (tmp_path / "out/ml-1m/ratings.dat").read_text() == "content of ml-1m/ratings.dat"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "ml-1m", "out", "ratings.dat"]
    with pytest.raises(FetchError, match=r"has no ml-1m/README; it has ml-1m/ratings\.dat"):
        unpack(tmp_path / "a.zip", ("ml-1m/README",), tmp_path / "out")


def test_the_command_asks_first_then_fetches(server: FileServer, tmp_path: Path) -> None:
    """Through a mirror: a reviews file without a published checksum, so that any content is taken."""
    words = ["download", "amazon-beauty", "--out", str(tmp_path), "--mirror", server.url]
    refused = CliRunner().invoke(app, words)
    assert (refused.exit_code, server.asked) == (2, [])
    assert "McAuley" in refused.output
    assert "--yes" in refused.output
    done = CliRunner().invoke(app, [*words, "--yes"])
    assert done.exit_code == 0, done.output
    assert f"sha256 {SHA256}" in done.output
    assert (tmp_path / "reviews_Beauty_5.json.gz").read_bytes() == CONTENT


def test_a_mirror_cannot_pass_something_else_for_a_published_file(server: FileServer, tmp_path: Path) -> None:
    words = ["download", "ml-1m", "--out", str(tmp_path), "--mirror", server.url, "--yes"]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "wanted c4d9eecfca2ab87c1945afe126590906" in refused.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ml-2m"], "no public dataset 'ml-2m'; there are ml-1m"),
        (["ml-1m", "--mirror", "file:///etc"], "http or https"),
    ],
)
def test_a_wrong_word_is_refused(words: list[str], said: str, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["download", *words, "--out", str(tmp_path), "--yes"])
    assert refused.exit_code == 2
    assert said in refused.output


def test_every_dataset_has_an_address_and_terms() -> None:
    """Over https; a digest where MovieLens publishes one."""
    for name, dataset in PUBLIC_DATASETS.items():
        assert dataset.address.startswith("https://")
        assert dataset.terms
        assert (dataset.checksum is not None) == name.startswith("ml-")
