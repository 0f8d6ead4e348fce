"""Intents, bundles and experiments, each used by mouse and by keyboard, against what the service then does."""

import re

from playwright.sync_api import Locator, Page, expect

from service.admin_client import AdminClient
from tests.console.conftest import SMALL, Visit
from tests.http_calls import call
from tests.service.test_processes import Service, eventually


def button(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("button", name=name)


def pressed(found: Locator) -> None:
    """By keyboard."""
    found.focus()
    found.press("Enter")


def test_the_map_shows_every_intent_and_its_neighbours(visit: Visit, service: Service) -> None:
    """The largest is chosen first; a click chooses another, arrows and Enter a third, a chip a neighbour."""
    page = visit(service.admin, "#/intents")
    intents = call(f"{service.url}/v1/intents")["intents"]
    circles = page.locator(".map svg .intent")
    expect(circles).to_have_count(SMALL.intents)
    expect(page.locator(".map svg .dots circle")).to_have_count(SMALL.users)
    largest = max(intents, key=lambda one: (one["size"], -one["intent_id"]))["intent_id"]
    expect(page.locator("#chosen")).to_have_text(f"Intent {largest}")
    circles.last.click()
    second = page.locator("#chosen")
    expect(second).not_to_have_text(f"Intent {largest}")
    before = second.inner_text()
    circles.last.focus()
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "false":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).not_to_have_text(before)
    chosen = re.search(r"\d+", page.locator("#chosen").inner_text())
    assert chosen is not None
    one = call(f"{service.url}/v1/intents/{chosen[0]}?k=6")
    titles = [item["title"] for item in one["items"]]
    expect(page.get_by_role("list", name="Nearest items").locator(".bar-name")).to_have_text(titles)
    neighbour = one["neighbours"][0]["intent_id"]
    pressed(page.locator(".chips button").first)
    expect(page.locator("#chosen")).to_have_text(f"Intent {neighbour}")
    expect(page.locator("tr.chosen")).to_contain_text(f"Intent {neighbour}")


def test_bundles_are_activated_tried_and_rolled_back(visit: Visit, service: Service) -> None:
    """Each decision only after a question; the control state is what was decided."""
    page = visit(service.admin, "#/bundles")
    newest, older = (one["bundle_id"] for one in call(f"{service.admin}/admin/bundles")["bundles"])
    assert newest.startswith("other-shop")
    expect(page.locator(".served .big")).to_have_text(newest)

    def control() -> dict[str, object]:
        found: dict[str, object] = call(f"{service.admin}/admin/bundles")["control"]
        return found

    button(page, f"Activate {older}").click()
    button(page.get_by_role("dialog"), "Cancel").click()
    assert control().get("active") is None
    pressed(button(page, f"Activate {older}"))
    button(page.get_by_role("dialog"), "Activate").click()
    expect(page.locator(".served .big")).to_have_text(older)
    assert control()["active"] == older
    button(page, f"Shadow {newest}").click()
    page.get_by_role("spinbutton", name="Share").fill("50")
    page.keyboard.press("Enter")
    expect(page.locator(".trial")).to_contain_text("50.0 % of the requests")
    assert control()["shadow"] == {"bundle_id": newest, "share": 0.5}
    button(page, "End the shadow").click()
    button(page.get_by_role("dialog"), "End the shadow").click()
    expect(page.locator(".trial")).to_have_count(0)
    button(page, "Roll back").click()
    button(page.get_by_role("dialog"), "Roll back").click()
    expect(page.locator(".served .big")).to_have_text(newest)
    pressed(button(page, "Follow the newest"))
    button(page.get_by_role("dialog"), "Follow the newest").click()
    expect(button(page, "Follow the newest …")).to_be_disabled()
    assert control().get("active") is None
    page.locator("summary").first.click()
    expect(page.get_by_role("table", name="Intent report").first).to_contain_text("Intents in use")


def test_a_report_is_drawn_and_says_what_to_do(visit: Visit, service: Service) -> None:
    """The planted uplift is found: two pictures a metric, the split as planned."""
    page = visit(service.admin, "#/experiments/diverse")
    expect(page.locator(".badge.large")).to_have_text("ship")
    expect(page.locator("figure svg")).to_have_count(4)
    report = call(f"{service.url}/v1/experiments/diverse/report")
    assert not report["split"]["blocks"]
    uplift = report["treatments"][0]["overall"][0]["uplift"]["value"]
    expect(page.locator(".results tbody tr").first).to_contain_text(f"+{100 * uplift:.1f} %")
    expect(page.locator(".charts .point")).to_have_count(2 * SMALL.days)


def test_a_split_that_is_off_is_said_first(visit: Visit, service: Service) -> None:
    page = visit(service.admin, "#/experiments/spread")
    expect(page.locator(".notice.bad")).to_contain_text("Nothing else in this report may be believed")
    expect(page.locator(".badge.large")).to_have_text("blocked")


def test_experiments_are_ramped_started_and_stopped(visit: Visit, service: Service) -> None:
    """A refusal is shown in the question, which stays open."""
    page = visit(service.admin, "#/experiments/diverse")
    pressed(button(page, "Ramp"))
    page.get_by_role("spinbutton", name="Share").fill("30")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("diverse is ramped")

    def kept(name: str) -> tuple[str, float]:
        with AdminClient(service.admin) as admin:
            found = admin.experiment(name)
        return found.state, found.share

    assert kept("diverse") == ("running", 0.3)
    page.get_by_role("link", name="later").click()
    expect(page.locator("#experiment")).to_have_text("later")
    button(page, "Start").click()
    button(page.get_by_role("dialog"), "Start").click()
    expect(page.locator(".card .badge").first).to_have_text("running")
    assert kept("later") == ("running", 0.05)
    eventually(lambda: call(f"{service.url}/v1/experiments/later")["state"] == "running")
    button(page, "Stop").click()
    button(page.get_by_role("dialog"), "Stop").click()
    expect(button(page, "Delete")).to_be_visible()
    assert kept("later") == ("stopped", 0.0)


def test_a_refusal_stays_in_the_question(visit: Visit, service: Service) -> None:
    """Both are in one layer, which has no room for all of them."""
    page = visit(service.admin, "#/experiments/diverse", refusals=True)
    button(page, "Ramp").click()
    with AdminClient(service.admin) as admin:
        admin.start("later", 0.5)
    page.get_by_role("spinbutton", name="Share").fill("100")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("has room for a share of 0.5")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    with AdminClient(service.admin) as admin:
        admin.stop("later")
