"""A user in the console: what is shown is what the API says, and an event that is posted is there."""

from playwright.sync_api import expect

from service.schemas import RecommendationRequest
from tests.console.conftest import Visit
from tests.service.test_processes import Service

USER = "user-3"


def listed(service: Service, history: list[str]) -> list[str]:
    """The titles that the service recommends."""
    with service.client() as client:
        answer = client.recommend(RecommendationRequest(history=history, k=10, titles=True))
    return [str(item.title) for item in answer.items]


def history_of(service: Service, user_id: str) -> list[str]:
    with service.client() as client:
        return [one.item_id for one in client.user(user_id).interactions]


def test_a_user_is_looked_up_by_keyboard(visit: Visit, service: Service) -> None:
    """The field has the focus; the list, the history and the intents are those of the API."""
    page = visit(service.admin)
    page.keyboard.type(USER)
    page.keyboard.press("Enter")
    history = history_of(service, USER)
    expect(page.locator(".picks .title")).to_have_text(listed(service, history))
    expect(page.locator(".lead")).to_contain_text(f"{len(history)} stored events")
    with service.client() as client:
        [stored] = [client.user(USER, titles=True).interactions]
    newest = [str(one.title) for one in reversed(stored)][:3]
    assert [text.split("\n")[0] for text in page.locator(".history li").all_inner_texts()][:3] == newest
    weights = page.locator(".side .bar-value").all_inner_texts()
    assert weights == sorted(weights, key=lambda text: -float(text.removesuffix(" %")))
    assert "Intent" in page.locator(".reason").first.inner_text()
    expect(page).to_have_title(f"{USER} · Users · Intently console")


def test_what_an_added_event_would_change_is_what_it_changes(visit: Visit, service: Service) -> None:
    """Nothing is stored by asking. Once the event is posted, the list is the one that was foreseen."""
    user = "user-5"
    page = visit(service.admin, f"#/users/{user}")
    history = history_of(service, user)
    with service.client() as client:
        first = client.recommend(RecommendationRequest(history=history, k=1)).items[0].item_id
    page.get_by_role("button", name="What if they chose").first.click()
    foreseen = listed(service, [*history, first])
    expect(page.get_by_role("list", name="The list then").locator(".title")).to_have_text(foreseen)
    expect(page.get_by_role("list", name="The list now").locator(".leaves").first).to_contain_text("seen")
    assert history_of(service, user) == history
    page.get_by_role("button", name="Post this event").click()
    dialog = page.get_by_role("dialog", name="Post this event?")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert history_of(service, user) == history
    page.get_by_role("button", name="Post this event").click()
    dialog.get_by_role("button", name="Post the event").click()
    expect(page.locator("#said")).to_contain_text("Accepted")
    assert history_of(service, user) == [*history, first]
    expect(page.locator(".picks .title")).to_have_text(foreseen)


def test_an_item_and_a_user_that_nobody_knows(visit: Visit, service: Service) -> None:
    """Who is new gets popular items, and is told so; an item that the bundle lacks changes nothing."""
    page = visit(service.admin, "#/users/nobody%20%2F%20%C3%A9")
    expect(page.locator(".notice.warn")).to_contain_text("popular with everybody")
    expect(page.locator(".lead")).to_contain_text("nobody / é · 0 stored events")
    expect(page.locator(".pick")).to_have_count(10)
    page.get_by_label("If their next item were").fill("no-such-item")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".what-if .notice.warn")).to_contain_text("does not know no-such-item")
