"""Keys, scopes, rates, rotation, and the audit of the admin port."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from service.admin.app import create_admin_app
from service.app import create_app
from service.cli import app as command_line
from service.errors import TooManyRequestsError
from service.security.access import Access, Bucket, needed
from service.security.keys import KeyRing, KeysError, add_key, read_keys
from service.settings import Settings

REQUEST = {"history": ["a"], "k": 1}
EVENTS = {"events": [{"user_id": "u", "item_id": "a", "timestamp": 1}]}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def settings(tiny_bundle: Path, tmp_path: Path, keys: Path) -> Settings:
    add_key(keys, "nobody", ["read"], None)
    return Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/s.sqlite3", keys=keys, poll_seconds=0.05)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a_key_is_kept_as_its_hash_in_a_file_of_its_owner(keys: Path) -> None:
    key = add_key(keys, "shop", ["read", "events"], 5)
    assert len(key) >= 43, "256 random bits"
    assert key not in keys.read_text()
    assert keys.stat().st_mode & 0o777 == 0o600
    assert json.loads(keys.read_text())[0]["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    found = KeyRing(keys).find(key)
    assert found is not None
    assert (found.name, found.scopes, found.rate) == ("shop", {"read", "events"}, 5)
    assert KeyRing(keys).find(key + "x") is None
    with pytest.raises(KeysError, match="has a key 'shop' already"):
        add_key(keys, "shop", ["read"], None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a list of keys"),
        ('[{"name": "a", "sha256": "secret", "scopes": ["read"]}]', "0.sha256 String should match"),
        ('[{"name": "a", "sha256": "' + "0" * 64 + '", "scopes": ["root"]}]', "0.scopes"),
    ],
)
def test_a_file_that_is_no_list_of_keys_is_refused(keys: Path, content: str, message: str) -> None:
    keys.write_text(content)
    with pytest.raises(KeysError, match=message) as refused:
        read_keys(keys)
    assert "secret" not in str(refused.value), "what was written is not repeated"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/recommendations", "read"),
        ("GET", "/v1/users/u", "read"),
        ("DELETE", "/v1/users/u", "events"),
        ("POST", "/v1/events", "events"),
        ("GET", "/v1/events", "events"),
        ("POST", "/admin/bundles/newest", "admin"),
    ],
)
def test_what_each_call_needs(method: str, path: str, scope: str) -> None:
    assert needed(method, path) == scope


def test_scopes_decide_and_refusals_say_why(client: TestClient, keys: Path) -> None:
    reader, writer = add_key(keys, "reader", ["read"], None), add_key(keys, "writer", ["events"], None)
    nobody = client.post("/v1/recommendations", json=REQUEST)
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "unauthorized")
    assert nobody.headers["www-authenticate"] == "Bearer"
    wait_until_known(client, reader)
    assert client.post("/v1/recommendations", json=REQUEST, headers=bearer(reader)).status_code == 200
    assert client.post("/v1/recommendations", json=REQUEST, headers={"x-api-key": reader}).status_code == 200
    refused = client.post("/v1/events", json=EVENTS, headers=bearer(reader))
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        403,
        "the key 'reader' lacks the scope 'events'",
    )
    assert client.post("/v1/events", json=EVENTS, headers=bearer(writer)).status_code == 200
    assert client.get("/v1/intents", headers=bearer(writer)).status_code == 403
    assert client.get("/health/ready").status_code == 200, "probes need no key"


def wait_until_known(client: TestClient, key: str) -> None:
    for _ in range(200):
        if client.get("/v1/intents", headers=bearer(key)).status_code != 401:
            return
    raise AssertionError("the key was not taken up")


def test_keys_are_rotated_while_the_service_runs(client: TestClient, keys: Path) -> None:
    """A new key is valid soon after, a withdrawn one no longer; a broken file changes nothing."""
    old = add_key(keys, "old", ["read"], None)
    wait_until_known(client, old)
    new = add_key(keys, "new", ["read"], None)
    wait_until_known(client, new)
    keys.write_text(json.dumps([entry for entry in json.loads(keys.read_text()) if entry["name"] != "old"]))
    for _ in range(500):
        if client.get("/v1/intents", headers=bearer(old)).status_code == 401:
            break
    else:
        raise AssertionError("the withdrawn key stayed valid")
    keys.write_text("broken")
    assert all(client.get("/v1/intents", headers=bearer(new)).status_code == 200 for _ in range(50))


def test_a_bucket_holds_a_second_and_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    bucket = Bucket(rate=2.0)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now = 100.5
    assert [bucket.take(), bucket.take()] == [True, False]
    now = 200.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    assert Bucket(rate=0.1).take(), "the first may always ask"


def test_workers_share_a_rate(keys: Path) -> None:
    """Of 6 a second each of two workers grants 3."""
    connection = {"type": "http", "method": "GET", "path": "/v1/intents"}
    key = add_key(keys, "limited", ["read"], 6)
    access = Access(KeyRing(keys), workers=2)
    asking = connection | {"headers": [(b"authorization", b"bearer " + key.encode())]}
    for _ in range(3):
        assert access.check(asking) == "limited"
    with pytest.raises(TooManyRequestsError, match="may ask 6 times a second"):
        access.check(asking)


def test_too_many_requests_are_told_to_wait(client: TestClient, keys: Path) -> None:
    key = add_key(keys, "slow", ["read"], 1)
    wait_until_known(client, key)
    answers = [client.get("/v1/intents", headers=bearer(key)) for _ in range(3)]
    assert answers[-1].status_code == 429
    assert (answers[-1].json()["error"]["code"], answers[-1].headers["retry-after"]) == ("rate_limited", "1")


def test_answers_are_hardened(client: TestClient) -> None:
    for answer in (client.get("/health/ready"), client.post("/v1/recommendations", json=REQUEST)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


async def test_the_admin_port_asks_and_keeps_an_audit(
    settings: Settings, keys: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who did what with which outcome; never a key, and nothing of metrics and probes."""
    operator, reader = add_key(keys, "operator", ["admin"], None), add_key(keys, "reader", ["read"], None)
    app = create_admin_app(settings, str(tmp_path))
    transport = httpx.ASGITransport(app=app)
    with caplog.at_level(logging.INFO, logger="intently.audit"):
        async with (
            app.app.router.lifespan_context(app.app),
            httpx.AsyncClient(transport=transport, base_url="http://admin") as client,
        ):
            assert (await client.post("/admin/bundles/newest")).status_code == 401
            assert (await client.post("/admin/bundles/newest", headers=bearer(reader))).status_code == 403
            assert (await client.post("/admin/bundles/newest", headers=bearer(operator))).status_code == 200
            assert (await client.get("/metrics")).status_code == 200
    said = [vars(record) for record in caplog.records if record.name == "intently.audit"]
    assert [(one["key"], one["method"], one["path"], one["status"]) for one in said] == [
        (None, "POST", "/admin/bundles/newest", 401),
        (None, "POST", "/admin/bundles/newest", 403),
        ("operator", "POST", "/admin/bundles/newest", 200),
    ]
    assert operator not in caplog.text
    assert reader not in caplog.text


def test_the_command_makes_keys(keys: Path) -> None:
    made = CliRunner().invoke(command_line, ["key", "shop", "--keys", str(keys), "--scope", "read", "--rate", "9"])
    assert made.exit_code == 0
    found = KeyRing(keys).find(made.stdout.strip())
    assert found is not None
    assert (found.name, found.rate) == ("shop", 9)
    wrong = CliRunner().invoke(command_line, ["key", "x", "--keys", str(keys), "--scope", "root"])
    assert (wrong.exit_code, "unknown scope root" in wrong.stderr) == (2, True)
