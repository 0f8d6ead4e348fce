"""What the REST API refuses, and what it says when it does."""

import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from service.app import create_app
from service.bundle.files import open_bundle
from service.engine import Engine
from service.settings import Settings
from tests.service.test_api import event, ids, post


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/items/zzz/similar", None, 404, "unknown_item"),
        ("/v1/intents/7", None, 404, "unknown_intent"),
        ("/v1/intents?bundle_id=other", None, 404, "unknown_bundle"),
        ("/nowhere", None, 404, "not_found"),
        ("/v1/events", None, 405, "method_not_allowed"),
        ("/v1/recommendations", {"k": 5}, 422, "invalid_request"),
        ("/v1/recommendations", {"user_id": "u", "k": 501}, 422, "invalid_request"),
        ("/v1/recommendations", {"user_id": "u" * 257}, 422, "invalid_request"),
        ("/v1/recommendations", {"history": ["a"] * 1001}, 422, "invalid_request"),
        ("/v1/recommendations/batch", {"requests": []}, 422, "invalid_request"),
        ("/v1/recommendations/batch", {"requests": [{}] * 257}, 422, "invalid_request"),
        ("/v1/recommendations", {"user_id": "u", "kk": 5}, 422, "invalid_request"),
        ("/v1/users/u/recommendations?intents=101", None, 422, "invalid_request"),
        ("/v1/users/u/recommendations?bundle_id=other", None, 404, "unknown_bundle"),
        ("/v1/items/" + "x" * 257 + "/similar", None, 422, "invalid_request"),
        ("/v1/events", {"events": [{}] * 1001}, 422, "invalid_request"),
        ("/v1/events", {"events": [{"user_id": "u" * (1 << 20)}]}, 413, "body_too_large"),
    ],
)
def test_refusals_have_one_shape(client: TestClient, path: str, body: Any, status: int, code: str) -> None:
    answer = client.get(path) if body is None else client.post(path, json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert set(error) == {"code", "message", "details"}


def test_without_a_bundle_it_is_live_but_not_ready(tmp_path: Path) -> None:
    settings = Settings(bundle=tmp_path / "none", store=f"sqlite:///{tmp_path}/store.sqlite3")
    with TestClient(create_app(settings)) as client:
        assert client.get("/health/live").status_code == 200
        refused = client.get("/health/ready")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        assert refused.headers["retry-after"] == "1"
        assert post(client, "/v1/recommendations", 503, user_id="u")["error"]["message"].startswith(
            "no bundle in 'none'"
        )
        assert post(client, "/v1/events", events=[event("a", 1)])["results"][0]["status"] == "accepted"


def test_while_too_many_wait_a_request_is_refused_unread_and_after_a_while(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no place left, even what is no request; batches and look-ups, which do not wait in line, are answered."""
    batches = client.app._app.state.parts.batches
    monkeypatch.setattr(batches, "_queue_limit", 0)
    monkeypatch.setattr(batches, "deadline", 0.1)
    began = time.monotonic()
    refused = client.post("/v1/recommendations", content=b"no request")
    assert time.monotonic() - began >= 0.1
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert (refused.headers["retry-after"], refused.headers["content-type"]) == ("1", "application/json")
    assert post(client, "/v1/intents/lookup", history=["a"])["source"] == "model"
    assert len(post(client, "/v1/recommendations/batch", requests=[{"history": ["a"]}])["answers"]) == 1


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"user_id": "\xff"}', b'{"user_id": "\\ud800"}', b'{"\\ud800": 1}', b'{"a":' * 100_000, b"", b"[]"],
    ids=["not json", "not utf-8", "lone surrogate", "lone surrogate as name", "nested 100,000 deep", "empty", "a list"],
)
@pytest.mark.parametrize(
    "path", ["/v1/recommendations", "/v1/recommendations/batch", "/v1/events", "/v1/intents/lookup"]
)
def test_a_body_that_cannot_be_read_is_the_caller_s_error(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert answer.json()["error"]["details"][0]["location"][0] == "body"


def test_a_body_of_undeclared_length_has_the_same_limit(client: TestClient) -> None:
    answer = client.post("/v1/events", content=iter([b" " * 600_000] * 2))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    small = iter([b'{"history": ["a"],', b' "k": 1}'])
    headers = {"content-type": "application/json"}
    assert ids(client.post("/v1/recommendations", content=small, headers=headers).json()) == ["b"]


def test_a_fault_of_ours_is_counted_and_tells_nothing(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(Engine, "recommend", fail)
    monkeypatch.setattr(Engine, "load", classmethod(lambda cls, path, threads: cls(open_bundle(path))))
    labels = {"route": "/v1/recommendations", "method": "POST", "status": "500"}
    before = REGISTRY.get_sample_value("intently_requests_total", labels) or 0
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        answer = client.post("/v1/recommendations", json={"history": ["a"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert REGISTRY.get_sample_value("intently_requests_total", labels) == before + 1
