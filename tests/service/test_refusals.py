"""What the REST API refuses, and what it says when it does."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from service.app import create_app
from service.bundle.files import open_bundle
from service.engine import Engine
from service.schemas import Event, IntentLookup, RecommendationRequest
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


UNREADABLE = {
    "not json": b"{",
    "not utf-8": b'{"user_id": "\xff"}',
    "lone surrogate": b'{"user_id": "\\ud800"}',
    "lone surrogate as name": b'{"\\ud800": 1}',
    "nested 100,000 deep": b'{"a":' * 100_000,
    "a number of 5,000 digits": b'{"k": ' + b"9" * 5000 + b"}",
    "raw NUL": b'{"user_id": "\x00"}',
    "empty": b"",
    "a list": b"[]",
    "NaN": b"NaN",
}
POSTS = ["/v1/recommendations", "/v1/recommendations/batch", "/v1/events", "/v1/intents/lookup"]


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_cannot_be_read_is_the_caller_s_error(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert answer.json()["error"]["details"][0]["location"][0] == "body"


WRONG = ('"k": "5"', '"k": true', '"k": 1.5', '"k": 1e999', '"max_per_category": 0', '"titles": 1', '"blend": "1"')
NO_NUMBERS = ('"diversity": NaN', '"blend": Infinity', '"filters": {"a": NaN}', '"filters": {"a": {"min": -Infinity}}')


@pytest.mark.parametrize("field", [*WRONG, *NO_NUMBERS])
def test_a_field_is_of_the_type_that_is_documented(client: TestClient, field: str) -> None:
    body = '{"history": ["a"], ' + field + "}"
    answer = client.post("/v1/recommendations", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


def test_of_a_name_given_twice_the_last_counts_and_a_whole_number_is_an_integer(client: TestClient) -> None:
    """As JSON has it: 2.0 is the integer 2; ids may hold NUL."""
    body = b'{"history": ["a", "\\u0000"], "k": 5, "k": 2.0}'
    answer = client.post("/v1/recommendations", content=body, headers={"content-type": "application/json"}).json()
    assert (ids(answer), answer["unknown_items"]) == (["b", "c"], ["\0"])


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_is_not_declared_as_json_is_refused(client: TestClient, path: str) -> None:
    """What a form of another origin can send is not taken; nothing declared is."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = client.post(path, content=b'{"history": ["a"]}', headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    for headers in ({}, {"content-type": "Application/JSON; charset=utf-8"}):
        assert client.post(path, content=b"{}", headers=headers).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/recommendations", "POST"),
        ("GET", "/v1/intents/lookup", "POST"),
        ("PUT", "/v1/users/u", "DELETE, GET"),
        ("POST", "/v1/intents/0", "GET"),
        ("PATCH", "/openapi.json", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(client: TestClient, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")


@pytest.mark.parametrize("intent_id", ["x", "-1", "1.0", "9" * 5000])
def test_what_is_no_number_is_no_intent(client: TestClient, intent_id: str) -> None:
    assert client.get(f"/v1/intents/{intent_id}").status_code == 404


NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), 2**53, 5e-324])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text() | st.sampled_from(["a", "d", "u", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({*RecommendationRequest.model_fields, *IntentLookup.model_fields, *Event.model_fields})
VALUES = st.sampled_from([["a"], "u", 1, {"category": "x"}, {"category": [10**30, True]}, {"category": {"min": 1}}])
LIKELY = st.dictionaries(st.sampled_from(FIELDS), JSON | VALUES, max_size=6)
BODIES = (
    JSON
    | LIKELY
    | st.lists(LIKELY | JSON).flatmap(lambda some: st.sampled_from([{"events": some}, {"requests": some}]))
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(POSTS), body=BODIES)
def test_any_json_is_answered_or_refused_as_documented(client: TestClient, path: str, body: Any) -> None:
    """NaN, infinities, huge integers and lone surrogates among it; what is answered is JSON that any parser reads."""
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    documented = client.app._app.openapi()["paths"][path]["post"]["responses"]
    assert str(answer.status_code) in documented
    assert answer.status_code < 500
    json.loads(answer.text, parse_constant=pytest.fail)
    assert answer.status_code == 200 or set(answer.json()["error"]) == {"code", "message", "details"}


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
    monkeypatch.setattr(Engine, "load", classmethod(lambda cls, path, **how: cls(open_bundle(path))))
    labels = {"route": "/v1/recommendations", "method": "POST", "status": "500"}
    before = REGISTRY.get_sample_value("intently_requests_total", labels) or 0
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        answer = client.post("/v1/recommendations", json={"history": ["a"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert REGISTRY.get_sample_value("intently_requests_total", labels) == before + 1
