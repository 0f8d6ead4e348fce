"""What holds in every section: no barrier, light or dark, narrow or wide, with keys or while nobody answers."""

import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from service.security.keys import add_key
from tests.console.conftest import Visit
from tests.console.world import serving
from tests.service.test_processes import Service

SECTIONS = {
    "#/users": ".empty",
    "#/users/user-3": ".pick",
    "#/intents": ".bar-row",
    "#/bundles": ".served",
    "#/experiments/diverse": "figure svg",
}
SERIOUS = ("serious", "critical")


def opened(visit: Visit, service: Service, section: str, **options: object) -> Page:
    page = visit(service.admin, section, **options)
    expect(page.locator(SECTIONS[section]).first).to_be_visible()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("section", SECTIONS)
def test_nobody_is_kept_out(visit: Visit, service: Service, section: str, scheme: str) -> None:
    """axe-core, with its rules of contrast, names and keyboard."""
    page = opened(visit, service, section, scheme=scheme)
    if section == "#/users/user-3":
        page.get_by_role("button", name="What if they chose").first.click()
        expect(page.locator(".board")).to_be_visible()
    if section == "#/bundles":
        page.locator("summary").first.click()
    found = Axe().run(page).response
    assert len(found["passes"]) > 15
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found["violations"] if one["impact"] in SERIOUS]
    assert serious == [], json.dumps(serious, indent=1)


def test_a_question_keeps_nobody_out(visit: Visit, service: Service) -> None:
    page = opened(visit, service, "#/experiments/diverse")
    page.get_by_role("button", name="Ramp").click()
    found = Axe().run(page).response
    assert [one["id"] for one in found["violations"] if one["impact"] in SERIOUS] == []


@pytest.mark.parametrize("section", SECTIONS)
def test_a_phone_shows_all_of_it(visit: Visit, service: Service, section: str) -> None:
    """At 360 pixels nothing is beside the page, and what is pressed is 24 pixels high or more (WCAG 2.5.8)."""
    page = opened(visit, service, section, width=360)
    if section == "#/users/user-3":
        page.get_by_role("button", name="What if they chose").first.click()
        expect(page.get_by_role("list", name="The list then")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    heights = page.locator("button:visible").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert heights
    assert min(heights) >= 24


def test_the_theme_can_be_chosen_and_stays(visit: Visit, service: Service) -> None:
    """Light on a dark system, after two presses, and after the page is loaded again."""
    page = opened(visit, service, "#/users", scheme="dark")

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    dark = ground()
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Theme: light")
    light = ground()
    assert light != dark
    page.reload()
    assert ground() == light
    page.locator("#theme").press("Enter")
    assert ground() == dark


def test_the_keyboard_reaches_everything_of_the_frame(visit: Visit, service: Service) -> None:
    """First a way past the frame, then the sections in their order, the tools, the content."""
    page = opened(visit, service, "#/bundles")
    names = []
    for _ in range(9):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert names[:6] == ["Skip to content", "Intently", "Users", "Intents", "Bundles", "Experiments"]
    assert names[6:8] == ["Key", "Theme: system"]
    page.locator("#skip").press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_key_is_asked_for_and_stays_in_the_tab(visit: Visit, folder: Path, tmp_path: Path) -> None:
    """Not in the address, nor kept for other tabs; a wrong one is asked for again, a scope that lacks is named."""
    reader = add_key(tmp_path / "keys.json", "reader", ["read"], None)
    operator = add_key(tmp_path / "keys.json", "operator", ["read", "events", "admin"], None)
    with serving(folder, "--keys", str(tmp_path / "keys.json")) as its:
        page = visit(its.admin, "#/users/user-3", refusals=True)
        page.get_by_label("API key or token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("The API key is not valid")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("dialog", name="This key is not valid")).to_be_visible()
        page.get_by_label("API key or token").fill(reader)
        page.keyboard.press("Enter")
        expect(page.locator(".pick")).to_have_count(10)
        page.get_by_role("link", name="Bundles").click()
        expect(page.get_by_role("alert")).to_contain_text("lacks the scope 'admin'")
        page.locator("#key").click()
        page.get_by_label("API key or token").fill(operator)
        page.keyboard.press("Enter")
        expect(page.locator(".served .big")).to_contain_text("other-shop")
        assert operator not in page.url
        assert operator not in str(page.evaluate("JSON.stringify(localStorage) + document.cookie"))
        assert operator in str(page.evaluate("JSON.stringify(sessionStorage)"))


def test_a_service_that_went_away_is_said_and_found_again(visit: Visit, folder: Path) -> None:
    """The cause, and what to do; the button tries again."""
    with serving(folder) as its:
        page = visit(its.admin, "#/bundles", refusals=True)
        expect(page.locator("#health")).to_contain_text("ready")
    page.get_by_role("link", name="Intents").click()
    expect(page.get_by_role("alert")).to_contain_text("Is intently-serve still running")
    expect(page.locator("#health")).to_have_text("away")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
