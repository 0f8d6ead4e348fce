"""What pages of other origins can have a browser do to the admin port: nothing."""

from pathlib import Path

import httpx2 as httpx
import pytest

from service.admin.app import create_admin_app
from service.errors import ForbiddenError
from service.security.origin import check_origin
from service.settings import Settings

HERE = "127.0.0.1:8001"


def refused(method: str, path: str = "/admin/bundles/rollback", *, asks: bool = False, **headers: str) -> str | None:
    """The reason, None where it is let through."""
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    try:
        check_origin({"type": "http", "method": method, "path": path, "headers": sent}, asks_for_keys=asks)
    except ForbiddenError as error:
        return error.message
    return None


@pytest.mark.parametrize("asks", [True, False])
def test_a_change_comes_from_the_console_or_from_no_page(asks: bool) -> None:
    """Browsers name the origin of whatever is no plain reading; curl and the client name none."""
    assert refused("POST", asks=asks, host=HERE) is None
    assert refused("POST", asks=asks, host=HERE, origin=f"http://{HERE}") is None
    assert refused("GET", asks=asks, host=HERE, origin="http://shop.example") is None, "it cannot read the answer"
    for origin in ("http://shop.example", "http://127.0.0.1:9999", "http://localhost:8001", "null", ""):
        for method in ("POST", "DELETE"):
            assert "asks for a change" in (refused(method, asks=asks, host=HERE, origin=origin) or ""), origin


@pytest.mark.parametrize(
    "host", [HERE, "[::1]:8001", "localhost:8001", "10.1.2.3", "service:8001", "intently.prod.svc", "a.b.local", ""]
)
def test_local_names_and_addresses_need_no_key(host: str) -> None:
    assert refused("GET", "/admin/experiments", host=host) is None


@pytest.mark.parametrize(
    "host", ["rebound.example:8001", "127.0.0.1.rebound.example", "a.com", "[::1.example", "local.example."]
)
def test_a_public_name_needs_keys(host: str) -> None:
    """A page at a public name that is made to point at this machine (DNS rebinding) is of the same origin."""
    assert "is a public name" in (refused("GET", "/admin/experiments", host=host) or "")
    assert "is a public name" in (refused("POST", "/console/api/v1/events", host=host, origin=f"http://{host}") or "")
    assert refused("GET", "/admin/experiments", host=host, asks=True) is None
    assert refused("GET", "/metrics", host=host) is None, "Prometheus may call it as it likes"


async def test_the_port_refuses_it_and_audits_it(
    settings_without_keys: Settings, caplog: pytest.LogCaptureFixture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    caplog.set_level("INFO", "intently.audit")
    app = create_admin_app(settings_without_keys, str(tmp_path_factory.mktemp("metrics")))
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=f"http://{HERE}") as client,
    ):
        answer = await client.post("/admin/bundles/newest", headers={"origin": "http://shop.example"})
        allowed = await client.post("/admin/bundles/newest")
    assert (answer.status_code, answer.json()["error"]["code"], allowed.status_code) == (403, "forbidden", 200)
    assert [record.status for record in caplog.records] == [403, 200]


@pytest.fixture
def settings_without_keys(tiny_bundle: Path, tmp_path: Path) -> Settings:
    return Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
