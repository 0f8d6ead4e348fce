"""Photograph the console for docs/console.md: `make screenshots`."""

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.console.world import Size, data_of, days_behind, declare, filled, serving, start, trained
from tests.http_calls import call
from tests.service.test_processes import Service
from tests.service.test_registry import newer

OUT = Path(__file__).parents[2] / "docs/console"
LARGE = Size(users=2000, items=600, intents=16, epochs=30, shoppers=4000, days=14)
USER = "user-42"
WIDTH, HEIGHT, PHONE = 1280, 900, 360
LONGEST = 1700


def main() -> None:
    """Train two bundles, serve them, look."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data_of(folder, LARGE)
        older = newer(trained(folder, "sasrec", LARGE), 1)
        newer(trained(folder, "iclrec", LARGE), 2)
        filled(folder)
        with serving(folder) as service, sync_playwright() as playwright:
            furnished(service, folder, older.name)
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            photographed(browser, service)
            browser.close()


def furnished(service: Service, folder: Path, older: str) -> None:
    """Experiments in every state, and a shadow that has been compared."""
    declare(service, "diverse", "ranking", LARGE.days, {"diversity": 0.3}, "Are lists of unlike items clicked more?")
    declare(service, "two-of-a-kind", "variety", LARGE.days, {"max_per_category": 2}, "At most two of a category.")
    declare(service, "blend", "ranking", 7, {"diversity": 0.1}, "A little diversity, for a week.")
    start(service, "diverse", 0.2)
    start(service, "two-of-a-kind", 0.1)
    days_behind(folder, "diverse", LARGE, uplift=0.12, days=9)
    days_behind(folder, "two-of-a-kind", LARGE, uplift=0.0, days=4, treated=0.44)
    call(f"{service.admin}/admin/bundles/{older}/shadow", {"share": 1})


def photographed(browser: Browser, service: Service) -> None:
    """Each section once, the theme and the phone where they show most."""
    shots = {
        "user": ("#/users/" + USER, ".pick", {}),
        "intents": ("#/intents", ".map .chosen", {}),
        "bundles": ("#/bundles", ".served", {}),
        "experiment": ("#/experiments/diverse", "figure svg", {}),
        "intents-dark": ("#/intents", ".map .chosen", {"color_scheme": "dark"}),
        "ratio": ("#/experiments/two-of-a-kind", "figure svg", {}),
        "phone": ("#/users/" + USER, ".pick", {"viewport": {"width": PHONE, "height": 780}}),
    }
    for name, (section, awaited, options) in shots.items():
        page = browser.new_page(
            **{"viewport": {"width": WIDTH, "height": HEIGHT}, "reduced_motion": "reduce", **options}
        )
        page.goto(f"{service.admin}/console{section}")
        page.locator(awaited).first.wait_for()
        if name == "user":
            page.get_by_role("button", name="What if they chose").nth(2).click()
            page.locator(".board").wait_for()
            page.evaluate("scrollTo(0, 0)")
        if name == "bundles":
            page.locator("summary").first.click()
        page.wait_for_timeout(400)
        taken(page, name)
        page.close()


def taken(page: Page, name: str) -> None:
    """As long as the page is, within reason."""
    length = min(page.evaluate("document.documentElement.scrollHeight"), LONGEST)
    page.set_viewport_size({"width": page.viewport_size["width"] if page.viewport_size else WIDTH, "height": length})
    page.wait_for_timeout(200)
    file = OUT / f"{name}.png"
    page.screenshot(path=file)
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            file, optimize=True
        )


if __name__ == "__main__":
    main()
