"""A command run to its end: seconds, and the peaks of its memory and of what it has on disk."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

EVERY = 0.2  # seconds between looks; the kernel keeps the peak of memory meanwhile


def measured(command: Sequence[object], folder: Path) -> dict[str, float]:
    """Run it, looking at `folder` for its disk -> metrics in MB (10^6 bytes). Raises CalledProcessError."""
    began, memory, disk = time.perf_counter(), 0.0, 0.0
    words = [str(word) for word in command]
    with subprocess.Popen(words, env=os.environ | {"CI": "true"}) as running:
        while running.poll() is None:
            memory = max(memory, peak_memory_mb(running.pid))
            disk = max(disk, size_mb(folder))
            time.sleep(EVERY)
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, words)
    return {"seconds": time.perf_counter() - began, "peak_memory_mb": memory, "peak_disk_mb": disk}


def peak_memory_mb(pid: int) -> float:
    """The largest resident memory so far of a process and, each for itself, of all below it."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has ended
    return (int(found[1]) * 1024 / 1e6 if found else 0.0) + sum(peak_memory_mb(int(child)) for child in below)


def size_mb(folder: Path) -> float:
    """What the files below take; those that go meanwhile do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total / 1e6
