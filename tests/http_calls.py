"""What tests need to talk to a service of their own."""

import json
import socket
import urllib.request
from typing import Any


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(url: str, body: Any = None, *, seconds: float = 5) -> Any:
    """GET, or POST of JSON: the answer as JSON where it is JSON, else as text."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        text = answer.read().decode()
    return json.loads(text) if text.startswith(("{", "[")) else text
