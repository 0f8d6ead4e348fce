"""The console's files and its way to the public port, without a browser."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from service.admin.app import create_admin_app
from service.admin.console.page import ROOT
from service.security.keys import add_key
from service.settings import Settings
from tests.http_calls import free_port
from tests.service.test_client import served

EVENT = {"user_id": "u/1", "item_id": "a", "timestamp": 1}


@pytest.fixture
def settings(tiny_bundle: Path, tmp_path: Path) -> Settings:
    return Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3", keys=tmp_path / "keys.json")


@pytest.fixture
def reader(settings: Settings) -> str:
    assert settings.keys is not None
    return add_key(settings.keys, "reader", ["read"], None)


@pytest.fixture
def public(settings: Settings, reader: str) -> Iterator[str]:
    with served(settings) as url:
        yield url


@pytest.fixture
async def admin(settings: Settings, public: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The admin port over the public one; both ask for keys."""
    app = create_admin_app(settings, str(tmp_path), public)
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8001") as client,
    ):
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_the_page_is_a_fixed_set_of_files_that_may_only_do_what_it_must(admin: httpx.AsyncClient) -> None:
    """Without a key: there is nothing in it. Scripts and styles are its own, nothing is inline, nobody may frame it."""
    page = await admin.get("/console")
    assert page.text == (ROOT / "index.html").read_text()
    assert (await admin.get("/console/")).content == page.content
    files = sorted(ROOT.iterdir())
    assert len(files) > 15
    for file in files:
        if file.name != "index.html":
            sent = await admin.get(f"/console/{file.name}")
            assert (sent.status_code, sent.content) == (200, file.read_bytes()), file.name
            assert sent.headers["x-content-type-options"] == "nosniff"
            assert sent.headers["content-type"].startswith(("text/javascript", "text/css", "image/svg+xml"))
    policy = page.headers["content-security-policy"].split("; ")
    assert policy[:3] == ["default-src 'none'", "script-src 'self'", "style-src 'self'"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in page.headers["content-security-policy"]
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")


@pytest.mark.parametrize(
    "path", ["..%2fpage.py", "%2e%2e/page.py", "../page.py", "static/main.js", "nothing.js", "index.html"]
)
async def test_no_other_file_can_be_had(admin: httpx.AsyncClient, path: str) -> None:
    refused = await admin.get(f"/console/{path}")
    assert (refused.status_code, refused.json()["error"]["code"]) in ((404, "not_found"), (401, "unauthorized"))


async def test_calls_go_on_to_the_public_port_with_the_caller_s_key(admin: httpx.AsyncClient, reader: str) -> None:
    """The public port decides; paths, queries, bodies and refusals arrive as they are."""
    refused = await admin.get("/console/api/v1/intents")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")
    headers = bearer(reader)
    answer = await admin.get("/console/api/v1/users/u%2F1%2F..?titles=true", headers=headers)
    assert answer.json() == {"user_id": "u/1/..", "interactions": []}
    found = await admin.post("/console/api/v1/recommendations", json={"history": ["a"], "k": 1}, headers=headers)
    assert (found.status_code, found.json()["items"][0]["item_id"]) == (200, "b")
    forbidden = await admin.post("/console/api/v1/events", json={"events": [EVENT]}, headers=headers)
    assert (forbidden.status_code, forbidden.json()["error"]["message"]) == (
        403,
        "the key 'reader' lacks the scope 'events'",
    )
    unknown = await admin.get("/console/api/v1/intents/7", headers=headers)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_intent")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/v1/users/u"), ("POST", "/v1/recommendations/batch"), ("GET", "/metrics"), ("GET", "/openapi.json")],
)
async def test_nothing_but_what_the_page_needs_goes_on(
    admin: httpx.AsyncClient, reader: str, method: str, path: str
) -> None:
    refused = await admin.request(method, f"/console/api{path}", headers=bearer(reader))
    assert refused.status_code in (404, 405)


async def test_a_body_is_no_larger_than_on_the_public_port(admin: httpx.AsyncClient, reader: str) -> None:
    large = b'"' + b"x" * (1 << 20)
    refused = await admin.post("/console/api/v1/events", content=large, headers=bearer(reader))
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")


async def test_a_public_port_that_does_not_answer_is_said(settings: Settings, tmp_path: Path, reader: str) -> None:
    app = create_admin_app(settings, str(tmp_path), f"http://127.0.0.1:{free_port()}")
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client,
    ):
        refused = await client.get("/console/api/health/ready")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
    assert "does not answer: is a worker running?" in refused.json()["error"]["message"]
