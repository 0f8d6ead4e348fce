"""A file is whole or not there: written aside, under a name that nobody else uses, synced, renamed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from service.bundle.files import sync

UNFINISHED = ".writing-"
LEFT_SECONDS = 60.0  # without a write to it: no living writer pauses for so long


def aside(target: Path) -> Path:
    """Beside the target."""
    return target.with_name(f"{UNFINISHED}{uuid4().hex}-{target.name}")


@contextmanager
def replacing(target: Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """What is written to the path that it gives is the target, also after a power cut; nothing is left if that fails.

    `check`, just before the target changes, may raise.
    """
    path = aside(target)
    try:
        yield path
        sync(path)
        check()
        path.rename(target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    sync(target.parent)


def left_behind(directory: Path) -> list[Path]:
    """What writers that were killed left half written below it."""
    return [path for path in directory.rglob(f"{UNFINISHED}*") if time.time() - _written(path) > LEFT_SECONDS]


def _written(path: Path) -> float:
    """Unix seconds; now, if it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
