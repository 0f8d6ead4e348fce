"""A file from a web server: resumed where it broke off, checked before it gets its name."""

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

ATTEMPTS = 5  # in a row that bring nothing new
PAUSE = 1.0  # seconds before another attempt, growing with their number
SILENCE = 30.0  # seconds without a byte after which a connection counts as broken
CHUNK = 1 << 18  # bytes
Progress = Callable[[int, int], None]  # bytes that are there, and of how many


class FetchError(ValueError):
    """The file is not there; the message says why and what to do."""


def fetch(address: str, target: Path, checksum: str | None, progress: Progress, *, pause: float = PAUSE) -> str:
    """Bring the file to `target`, unless it is there already -> its SHA-256. Raises FetchError.

    What has come lies in `target.part` until all of it has, and its digest is the publisher's `checksum`. Where none is
    published the first download is trusted: `target.sha256` notes it, and every later one has to be the same.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    held = target if target.exists() else _brought(address, target, progress, pause)
    found = _check(held, target, checksum, address)
    if held != target:
        held.replace(target)
        _version_of(held).unlink(missing_ok=True)
    note = _note(target)
    if checksum is None and not note.exists():
        note.write_text(f"{found}  {target.name}\n")
    return found


def unpack(archive: Path, members: tuple[str, ...], out: Path) -> list[Path]:
    """The named members of a ZIP file, and no other, as files below `out`. Raises FetchError."""
    made = []
    with zipfile.ZipFile(archive) as opened:
        for member in members:
            if member not in opened.namelist():
                raise FetchError(f"{archive.name} has no {member}; it has {', '.join(opened.namelist()[:20])}")
            target = out / member  # a name of ours, not of the archive
            target.parent.mkdir(parents=True, exist_ok=True)
            aside = target.with_name(f"{target.name}.part")
            with opened.open(member) as source, aside.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            made.append(aside.replace(target))
    return made


def _brought(address: str, target: Path, progress: Progress, pause: float) -> Path:
    """The part, once all is there; an attempt that brought something does not count."""
    part = target.with_name(f"{target.name}.part")
    failed = 0
    while True:
        before = _size(part)
        try:
            _attempt(address, part, progress)
        except urllib.error.HTTPError as error:
            why = f"the server answers {error.code} {error.reason}"
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code != HTTPStatus.TOO_MANY_REQUESTS:
                raise FetchError(f"{address}: {why}; has the file moved? Give another place with --mirror") from error
        except (OSError, http.client.HTTPException) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
        else:
            return part
        failed = 1 if _size(part) > before else failed + 1
        if failed == ATTEMPTS:
            raise FetchError(f"{address}: {why}. {_size(part):,} bytes are kept; the same command goes on from there.")
        time.sleep(pause * failed)


def _attempt(address: str, part: Path, progress: Progress) -> None:
    """One connection. Asks for the rest only while the server says that the file is the same (If-Range)."""
    have, version = _size(part), _version_of(part)
    known = version.read_text() if version.exists() else ""
    headers = {"Range": f"bytes={have}-", "If-Range": known} if have and known else {}
    request = urllib.request.Request(address, headers=headers | {"Accept-Encoding": "identity"})  # noqa: S310
    try:
        answer = urllib.request.urlopen(request, timeout=SILENCE)  # noqa: S310 (http or https, as its caller checked)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # nothing is missing
        version.unlink()
        raise ConnectionError("the file has become shorter") from error
    with answer:
        _write(answer, part, have, progress)


def _write(answer: Any, part: Path, have: int, progress: Progress) -> None:
    """What one answer brings, behind what is there where it is the rest of it. Raises OSError when not all came."""
    rest = answer.status == HTTPStatus.PARTIAL_CONTENT
    if rest and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        _version_of(part).unlink()
        raise ConnectionError("the server sent another part than was asked for")
    length = answer.headers.get("Content-Length")
    if length is None:
        raise FetchError(
            f"{answer.url}: the server does not say how long the file is: nobody could tell if it is whole"
        )
    have = have if rest else 0
    total = have + int(length)
    with part.open("ab" if rest else "wb") as file:
        _version_of(part).write_text(_named(answer))  # after what belonged to another version is gone
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            have += len(chunk)
            progress(have, total)
    if have < total:
        raise ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")


def _named(answer: Any) -> str:
    """What the server calls this state of the file; empty where it cannot be asked for again."""
    tag = answer.headers.get("ETag", "")
    return "" if tag.startswith("W/") else str(tag or answer.headers.get("Last-Modified", ""))


def _check(file: Path, target: Path, checksum: str | None, address: str) -> str:
    """The SHA-256 of the file, which is what is published or was noted. Raises FetchError."""
    sha256 = _digest(file, "sha256")
    note = _note(target)
    if checksum is None:
        wanted, found = (note.read_text().split()[0] if note.exists() else sha256), sha256
        source = f"noted in {note.name} by an earlier download"
    else:
        algorithm, _, wanted = checksum.partition(":")
        found, source = _digest(file, algorithm), f"published ({algorithm})"
    if found != wanted:
        file.unlink()
        _version_of(file).unlink(missing_ok=True)
        raise FetchError(
            f"{target.name} from {address} is not what was {source}: wanted {wanted}, found {found}. It was removed: "
            "run the command again; if it stays so, the file was changed there, or on the way."
        )
    return sha256


def _digest(file: Path, algorithm: str) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, algorithm).hexdigest()


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _version_of(part: Path) -> Path:
    """Where the server's word for the state of the file is kept, beside the part."""
    return part.with_name(f"{part.name}.version")


def _note(target: Path) -> Path:
    """Where the digest of a trusted first download is kept, as `sha256sum --check` reads it."""
    return target.with_name(f"{target.name}.sha256")
