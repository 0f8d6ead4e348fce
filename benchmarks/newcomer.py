"""A newcomer's run on a new clone: `git clone`, `make demo`, `make test`, the compose stack; seconds of each.

    python benchmarks/newcomer.py
    COMPOSE_UP='bash start.sh up .' COMPOSE_DOWN='bash start.sh down .' python benchmarks/newcomer.py

Where there is no container engine, the compose stack is left out and no figure of it is recorded; COMPOSE_UP and
COMPOSE_DOWN are the shell commands that start and stop it elsewhere, run in the clone. What pip and apt have cached on
the machine is used.
"""

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from training.results import record

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results/newcomer.jsonl"
COMPOSE_UP = os.environ.get("COMPOSE_UP", "docker compose up --build --wait")
COMPOSE_DOWN = os.environ.get("COMPOSE_DOWN", "docker compose down --volumes")
COMPOSE_TEST = "INTENTLY_COMPOSE_URL=http://127.0.0.1:8000 .venv/bin/pytest tests/deploy/test_compose_running.py"


def main() -> None:
    """Every step in a new folder; a step that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "intently"
        metrics = {"git clone": seconds(f"git clone --quiet {ROOT} {clone}", Path(folder))}
        metrics["make demo"] = seconds("make demo", clone)
        metrics["make test"] = seconds("make test", clone)
        counts = tests(clone)
        if "COMPOSE_UP" in os.environ or shutil.which("docker"):
            try:
                metrics["compose up, images built"] = seconds(COMPOSE_UP, clone, COMPOSE_PROFILES="train")
                metrics["end-to-end test of the stack"] = seconds(COMPOSE_TEST, clone)
                counts |= {f"{name}, compose": count for name, count in tests(clone).items()}
            finally:
                seconds(COMPOSE_DOWN, clone)
    record(arguments.results.absolute(), kind="newcomer", tests=counts, metrics=metrics)
    print("\n".join(f"{name:30} {value:8.1f} s" for name, value in metrics.items()))


def seconds(command: str, folder: Path, **environment: str) -> float:
    """Run by a shell, its words kept for `tests`. Raises CalledProcessError."""
    print(f"$ {command}", flush=True)
    began = time.perf_counter()
    words = f"set -o pipefail; ({command}) 2>&1 | tee {folder.parent}/log"
    subprocess.run(["bash", "-c", words], cwd=folder, env=os.environ | environment, check=True)
    return time.perf_counter() - began


def tests(clone: Path) -> dict[str, int]:
    """Passed and skipped, from the last line that pytest wrote."""
    last = [line for line in (clone.parent / "log").read_text().splitlines() if " passed" in line][-1]
    return {name: int(count) for count, name in re.findall(r"(\d+) (passed|skipped)", last)}


if __name__ == "__main__":
    main()
