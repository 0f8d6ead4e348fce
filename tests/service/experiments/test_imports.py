"""What the path of a request must not load."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_service_starts_without_scipy() -> None:
    """Neither port loads it; the statistics do, which shows that one can tell."""
    program = "import sys, {}; sys.exit('scipy' in sys.modules)"
    for modules, status in (("service.app, service.admin.app", 0), ("service.experiments.statistics.comparison", 1)):
        found = subprocess.run([sys.executable, "-c", program.format(modules)], cwd=ROOT, check=False)
        assert found.returncode == status, modules
