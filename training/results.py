"""Result lines as `benchmarks/results/*.jsonl` hold them, written by the commands that measure."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from training.run_log import append_line


def record(path: Path, *, kind: str, **measured: Any) -> None:
    """Append one line: when, on what machine, by which command, and what was measured."""
    append_line(
        path,
        {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "machine": machine(),
            "command": " ".join([_program(Path(sys.argv[0])), *(_relative(word) for word in sys.argv[1:])]),
            "kind": kind,
            **measured,
        },
    )


def machine() -> dict[str, Any]:
    """Processor, cores, memory in GiB and GPU of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    names = [line for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def commit() -> str | None:
    """The revision this ran from, with a plus sign when the tree was changed; None outside a checkout."""
    here = Path(__file__).parent
    asked = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    found = subprocess.run(asked, cwd=here, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip() or None


def _program(path: Path) -> str:
    return f"python benchmarks/{path.name}" if path.suffix == ".py" else path.name


def _relative(word: str) -> str:
    """Absolute paths say nothing elsewhere: keep their last part."""
    return Path(word).name if word.startswith("/") else word


def _read(path: str) -> str:
    file = Path(path)
    return file.read_text() if file.is_file() else ""
