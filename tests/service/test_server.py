"""The supervising process and its admin port."""

import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

from service import server
from service.settings import Settings


def admin_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "admin"]


def test_the_admin_thread_has_ended_before_the_process_does(tiny_bundle: Path, tmp_path: Path) -> None:
    """An event loop that still runs while the interpreter is taken down ends it with a segmentation fault."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    with server._admin_port(settings, str(tmp_path), "127.0.0.1", port, "http://127.0.0.1:8000"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5) as answer:
            assert answer.status == 200
        assert admin_threads() == ["admin"]
    assert admin_threads() == []


def test_the_supervising_process_makes_none_of_the_workers_gauges() -> None:
    """Its zeros would be the least of the workers' control versions and bundles' ages."""
    modules = "service.server, service.admin.app, service.bundle_mirror"
    program = f"import sys, {modules}; sys.exit('service.telemetry' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_admin_port_reaches_the_public_one_wherever_it_listens() -> None:
    """By the loopback address where it listens on all."""
    assert server._reached("0.0.0.0", 8000) == server._reached("127.0.0.1", 8000) == "http://127.0.0.1:8000"
    assert server._reached("::", 80) == "http://[::1]:80"
    assert server._reached("shop.internal", 80) == "http://shop.internal:80"
