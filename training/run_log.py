"""What a run tells while it goes: a line of JSON an epoch, and a progress bar."""

import json
import sys
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Append one JSON object to a JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All objects of a JSONL file; a line cut short by a kill is left out."""
    entries = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return entries


def drop_lines_after(path: Path, epoch: int) -> None:
    """Forget what was logged after `epoch`: a resumed run writes those epochs again."""
    kept = [entry for entry in read_lines(path) if entry.get("epoch", 0) <= epoch]
    if path.is_file():
        path.write_text("".join(json.dumps(entry) + "\n" for entry in kept))


class EpochBar:
    """A bar over the steps of an epoch with its losses and speed. One line an epoch where there is no terminal."""

    def __init__(self, epochs: int, steps: int, *, shown: bool = True) -> None:
        self._console = Console(stderr=True, quiet=not shown)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(
            *columns,
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not (shown and sys.stderr.isatty()),
        )
        self._steps = steps
        self._epochs = epochs
        self._task = self._progress.add_task("", total=steps, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, epoch: int) -> None:
        """A new epoch begins."""
        self._progress.reset(self._task, total=self._steps, description=f"epoch {epoch}/{self._epochs}", note="")

    def step(self, note: str = "") -> None:
        """One batch is done."""
        self._progress.advance(self._task)
        if note:
            self._progress.update(self._task, note=note)

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(line, highlight=False, soft_wrap=True)
