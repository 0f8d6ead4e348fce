"""A newcomer's run on a new clone, a step after another: `make demo`, `make test`, the compose stack; seconds of each.

    python benchmarks/newcomer.py
    python benchmarks/newcomer.py --steps demo
    COMPOSE_UP='bash start.sh up .' COMPOSE_DOWN='bash start.sh down .' python benchmarks/newcomer.py --steps compose

`compose` needs a container engine; COMPOSE_UP and COMPOSE_DOWN are the shell commands that start and stop the stack
where `docker compose` does not, run in the clone. What pip and apt have cached on the machine is used.
"""

import argparse
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from training.results import record

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results/newcomer.jsonl"
COMPOSE_UP = os.environ.get("COMPOSE_UP", "docker compose up --build --wait")
COMPOSE_DOWN = os.environ.get("COMPOSE_DOWN", "docker compose down --volumes")
COMPOSE_TESTS = "tests/deploy/test_images.py tests/deploy/test_compose_running.py"
COMPOSE_TEST = f"INTENTLY_COMPOSE_URL=http://127.0.0.1:8000 .venv/bin/pytest {COMPOSE_TESTS}"


class Said(NamedTuple):
    """What came of a command."""

    seconds: float
    text: str

    def tests(self) -> dict[str, int]:
        """How many passed and were skipped, from the last line that pytest wrote."""
        last = [line for line in self.text.splitlines() if " passed" in line][-1]
        return {name: int(count) for count, name in re.findall(r"(\d+) (passed|skipped)", last)}


def main() -> None:
    """Each step in the same clone, recorded as soon as it is done; one that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "intently"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        for name in arguments.steps:
            for step, metrics in STEPS[name](clone).items():
                record(arguments.results.absolute(), kind="newcomer", step=step, metrics=metrics)


def demo(clone: Path) -> dict[str, dict[str, float]]:
    """Installs what it needs."""
    return {"make demo": {"seconds": said("make demo", clone).seconds}}


def test(clone: Path) -> dict[str, dict[str, float]]:
    """Installs the rest."""
    done = said("make test", clone)
    return {"make test": {"seconds": done.seconds, **done.tests()}}


def compose(clone: Path) -> dict[str, dict[str, float]]:
    """Builds the images, trains, serves; then its end-to-end test."""
    said("make .venv/bin/.installed-dev", clone)
    try:
        up = said(COMPOSE_UP, clone, COMPOSE_PROFILES="train")
        tested = said(COMPOSE_TEST, clone)
    finally:
        said(COMPOSE_DOWN, clone)
    return {
        "docker compose up, images built": {"seconds": up.seconds},
        "end-to-end test of the stack": {"seconds": tested.seconds, **tested.tests()},
    }


STEPS: dict[str, Callable[[Path], dict[str, dict[str, float]]]] = {"demo": demo, "test": test, "compose": compose}


def said(command: str, folder: Path, **environment: str) -> Said:
    """Run by a shell, its words shown as they come. Raises CalledProcessError."""
    print(f"$ {command}", flush=True)
    began, log = time.perf_counter(), folder.parent / "log"
    words = f"set -o pipefail; ({command}) 2>&1 | tee {log}"
    subprocess.run(["bash", "-c", words], cwd=folder, env=os.environ | environment, check=True)
    return Said(time.perf_counter() - began, log.read_text())


if __name__ == "__main__":
    main()
