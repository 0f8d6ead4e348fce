"""Bundles from wherever they are published: new ones are copied beside the local ones, whole and checked."""

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import fsspec
from prometheus_client import Counter

from service.bundle.files import MANIFEST, MANIFEST_LIMIT, BundleError, check_files, is_bundle, read_manifest, sync
from service.bundle.manifest import BUNDLE_ID

log = logging.getLogger("intently")
# Not with the workers' metrics: their gauges must not be made in the supervising process.
MIRROR_FAILURES = Counter("intently_mirror_failures", "Bundles, or lists of them, that could not be copied.")
STAGING = ".mirror"  # in the local directory; nobody looks for bundles there


class Mirror:
    """Copies the bundles of a URL that fsspec reads (s3, gs, abfs, sftp, file, ...) into a local directory.

    What is removed there stays here: it may be served, or be what a roll-back needs. The newest there is the newest
    here: a copy has the time of what was copied, or where the file system tells none, that of the bundle's training.
    """

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._said: dict[str, str] = {}

    def pull(self) -> list[str]:
        """Copy what is new -> the bundle_ids. What cannot be copied is logged, counted and tried again next time."""
        try:
            files, root = fsspec.core.url_to_fs(self._url, skip_instance_cache=True)  # no old listing or connection
            listed = {PurePosixPath(str(path)).parent.name: str(path) for path in files.glob(f"{root}/*/{MANIFEST}")}
            published = {name: _published(files, path) for name, path in listed.items() if BUNDLE_ID.fullmatch(name)}
        except Exception as error:  # every file system raises types of its own
            self._failed("", error)
            return []
        self._said.pop("", None)
        newest_first = sorted(published, key=lambda name: (published[name], name), reverse=True)
        return [name for name in newest_first if self._brought(files, listed[name], name, published[name])]

    def _brought(self, files: fsspec.AbstractFileSystem, manifest_path: str, name: str, published: int) -> bool:
        """Whether the bundle is new here. Of one that is not, the place in the order may be: it was promoted again."""
        staging = self._directory / STAGING / name
        shutil.rmtree(staging, ignore_errors=True)
        try:
            if is_bundle(self._directory / name):
                _date(self._directory / name, published)
                return False
            staging.mkdir(parents=True)
            (staging / MANIFEST).write_bytes(files.cat_file(manifest_path, end=MANIFEST_LIMIT + 1))
            manifest = read_manifest(staging)
            for file in manifest.files:
                files.get_file(f"{manifest_path.removesuffix(MANIFEST)}{file}", str(staging / file))
                sync(staging / file)
            check_files(staging)
            _date(staging, published or _nanoseconds(datetime.fromisoformat(manifest.created)))
            sync(staging / MANIFEST)
            staging.rename(self._directory / name)
            sync(self._directory)
        except Exception as error:
            self._failed(name, error)
            return False
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        self._said.pop(name, None)
        log.info("bundle %s copied from %s", name, shown(self._url))
        return True

    def _failed(self, name: str, error: Exception) -> None:
        MIRROR_FAILURES.inc()
        what = str(error) if isinstance(error, BundleError | ImportError) else type(error).__name__
        if self._said.get(name) != what:  # once, not every time
            log.error("cannot copy %s from %s: %s", name or "bundles", shown(self._url), what)
        self._said[name] = what


@contextmanager
def mirrored(url: str, directory: Path, *, seconds: float) -> Iterator[None]:
    """Pull once, then every `seconds` in a thread until the block ends."""
    directory.mkdir(parents=True, exist_ok=True)
    mirror, over = Mirror(url, directory), threading.Event()

    def follow() -> None:
        while not over.wait(seconds):
            mirror.pull()

    mirror.pull()
    thread = threading.Thread(target=follow, daemon=True, name="mirror")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1)


def _published(files: fsspec.AbstractFileSystem, manifest_path: str) -> int:
    """When, in nanoseconds; 0 if that is not known: many file systems tell no times, or other than as a datetime."""
    with suppress(Exception):  # what really is wrong, copying will find
        return _nanoseconds(files.modified(manifest_path))
    return 0


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000


def _date(bundle: Path, published: int) -> None:
    """As find_bundles orders."""
    if published and (bundle / MANIFEST).stat().st_mtime_ns != published:
        os.utime(bundle / MANIFEST, ns=(published, published))


def shown(url: str) -> str:
    """Without a user, a password or a query, which may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
