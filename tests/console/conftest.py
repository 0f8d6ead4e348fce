"""A real Chromium, and a service of its own to look at."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.console.world import Size, data_of, days_behind, declare, filled, serving, start, trained
from tests.service.test_processes import Service
from tests.service.test_registry import newer, rewritten

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SMALL = Size(users=200, items=100, intents=6, epochs=2, shoppers=800, days=4)
Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("the binary chromium is not installed (apt install chromium)")
    return CHROMIUM


@pytest.fixture(scope="module")  # no longer: its event loop would be in the way of other tests'
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def folder(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles `iclrec-shop` and, newer, `other-shop`; a log's users in a store. Only where there is a browser."""
    root = tmp_path_factory.mktemp("console")
    data_of(root, SMALL)
    first = newer(trained(root, "iclrec", SMALL), 1)
    newer(rewritten(first, root / "bundles", "other-shop"), 2)
    return root


@pytest.fixture(scope="session")
def service(folder: Path) -> Iterator[Service]:
    """With experiments: `diverse` ran its days, `spread` has too few users in one variant, `later` is a draft."""
    filled(folder)
    with serving(folder) as running:
        declare(
            running, "diverse", "ranking", SMALL.days, {"diversity": 0.3}, "Are lists of unlike items clicked more?"
        )
        declare(running, "spread", "variety", 7, {"max_per_category": 2}, "At most two of a kind.")
        declare(running, "later", "ranking", 7, {"diversity": 0.1}, "Not started yet.")
        start(running, "diverse", 0.2)
        start(running, "spread", 0.2)
        days_behind(folder, "diverse", SMALL, uplift=0.5, days=SMALL.days, ended=True)
        days_behind(folder, "spread", SMALL, uplift=0.0, days=3, treated=0.35)
        yield running


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Open a page of the console -> it. At the end: nothing was said on the console, nobody else was asked."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def open_page(
        base: str, hash_: str = "", *, width: int = 1280, scheme: str = "light", refusals: bool = False
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on(
            "request", lambda asked: None if asked.url.startswith(base + "/") else troubles.append(f"asked {asked.url}")
        )

        def said(message: object) -> None:
            text, kind = message.text, message.type  # type: ignore[attr-defined]
            if kind in ("error", "warning") and not (refusals and "Failed to load resource" in text):
                troubles.append(f"{kind}: {text}")

        page.on("console", said)
        page.goto(f"{base}/console{hash_}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []
