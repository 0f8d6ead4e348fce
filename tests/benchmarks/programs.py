"""Benchmarks run as programs, as their users run them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def lines_of(program: str, *words: object, results: Path) -> list[dict[str, Any]]:
    """What `benchmarks/PROGRAM --results RESULTS` records; it must end well."""
    found = subprocess.run(
        [sys.executable, f"benchmarks/{program}", *map(str, words), "--results", str(results)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return [json.loads(line) for line in results.read_text().splitlines()]
