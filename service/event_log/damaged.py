"""Files that cannot be read: nothing else waits for them.

Beside such a file, in `.owed-NAME.jsonl`, stand the erasures that it is owed, until it can be read or its day is gone.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from service.event_log.aside import replacing
from service.event_log.entries import Erasure, decoded, encoded

log = logging.getLogger("intently")
OWED, KIND = ".owed-", ".jsonl"


class Damaged:
    """Those that this process has come upon."""

    def __init__(self) -> None:
        """None so far."""
        self._known: dict[Path, tuple[int, int]] = {}  # when it was written (ns) and its bytes

    def add(self, file: Path, error: Exception) -> None:
        """Say so in the log, the first time. Raises what was found where the file is there no more."""
        if not file.exists():
            raise error
        if file not in self._known:
            reason = str(error).partition("\n")[0]
            log.error("event log: %s cannot be read and is left alone: %s", "/".join(file.parts[-3:]), reason)
        self._known[file] = _state(file)

    def __contains__(self, file: Path) -> bool:
        """Whether it still is as it was when it could not be read."""
        return file in self._known and self._known[file] == _state(file)


def owe(file: Path, erasures: Sequence[Erasure]) -> None:
    """Beside what the file is owed already. Raises OSError."""
    content = encoded([*owed(file), *erasures])
    with replacing(_beside(file)) as path:
        path.write_bytes(content)


def owed(file: Path) -> list[Erasure]:
    """What stands beside the file. Raises OSError."""
    beside = _beside(file)
    found = decoded(beside.read_bytes()) if beside.exists() else []
    return [one for one in found if isinstance(one, Erasure)]


def owing(folder: Path) -> list[Path]:
    """The files of a day that are owed something."""
    beside = sorted(folder.glob(f"{OWED}*{KIND}"))
    return [folder / path.name.removeprefix(OWED).removesuffix(KIND) for path in beside]


def settled(file: Path) -> None:
    """It is owed nothing any more."""
    _beside(file).unlink()


def _beside(file: Path) -> Path:
    return file.with_name(f"{OWED}{file.name}{KIND}")


def _state(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size
