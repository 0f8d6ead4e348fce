"""A redis-server of a benchmark's own, which can be killed, stopped, started again and emptied."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from serving import free_port


class RedisProcess:
    """On a free port, the same one at every start."""

    def __init__(self, folder: Path, *, durable: bool = False, options: Sequence[str] = ()) -> None:
        """`durable`: every write is synced to the append-only file in `folder` before it is answered."""
        self.port = _port_with_bus() if options else free_port()
        self._folder = folder
        self._durable = durable
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the service finds it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers. Raises TimeoutError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = ["redis-server", "--port", str(self.port), "--dir", str(self._folder), "--save", ""]
        command += ["--appendonly", "yes" if self._durable else "no", "--appendfsync", "always"]
        command += [*self._options, "--loglevel", "warning"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        with Redis(port=self.port) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except RedisError:
                    time.sleep(0.01)
                else:
                    return
        raise TimeoutError("redis-server does not answer")

    def start_from(self, snapshot: Path) -> None:
        """On what an RDB file holds; from then on as ever. Returns when the append-only file is written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot, self._folder / "dump.rdb")
        durable, self._durable = self._durable, False  # with an append-only file, a server looks at no snapshot
        self.start()
        self._durable = durable
        with Redis(port=self.port) as client:
            client.config_set("appendonly", "yes" if durable else "no")
            while client.info("persistence")["aof_rewrite_in_progress"]:
                time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def wipe(self) -> None:
        """Remove what a killed server kept."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _port_with_bus() -> int:
    """Nodes of a cluster talk to each other 10,000 ports above."""
    while (port := free_port()) > 55_000:
        pass
    return port
