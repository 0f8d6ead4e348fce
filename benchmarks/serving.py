"""A running service for benchmarks, and how to ask it."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


@contextmanager
def running_service(bundle: Path, folder: Path, *, seconds: float = 60) -> Iterator[str]:
    """`intently-serve run` on free ports with an SQLite store in `folder` -> its URL. Raises TimeoutError."""
    port, admin_port = free_port(), free_port()
    command = [BIN / "intently-serve", "run", "--bundle", bundle, "--store", f"sqlite:///{folder}/store.sqlite3"]
    command += ["--port", str(port), "--admin-port", str(admin_port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command) as server:
        try:
            wait_until_ready(url, seconds)
            yield url
        finally:
            server.terminate()


def wait_until_ready(url: str, seconds: float, path: str = "/health/ready") -> None:
    """Poll until it answers. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}{path}", timeout=10).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"{url} was not ready after {seconds} s")


def call(url: str, body: dict[str, Any] | None = None, seconds: float = 10) -> Any:
    """GET, or POST with a body -> the JSON answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        return json.load(answer)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
