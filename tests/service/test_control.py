"""Decisions about the active bundle: kept in the store, followed by every worker, taken back."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from service.admin.app import create_admin_app
from service.app import create_app
from service.availability import Unavailable, availability
from service.control import Control, Side, control_state
from service.engine import Engine
from service.errors import ConflictError, NotReadyError
from service.inference.recommender import Ranking
from service.question import Question
from service.registry import Registry
from service.routes.intents import all_intents
from service.settings import Settings
from service.stores.base import Document, SequenceStore
from service.stores.opening import open_store
from service.telemetry import Stages
from tests.service.experiments.declared import declaration, running
from tests.service.test_registry import newer, rewritten

OpenStore = Callable[..., SequenceStore]


def test_a_rollback_takes_back_one_decision_after_another() -> None:
    control = Control().activated("b", served="a").activated("c", served="a")
    assert (control.version, control.active, control.before) == (2, "c", ("a", "b"))
    assert control.activated("c", served="a").before == ("a", "b"), "activating what is active changes nothing"
    back = control.rolled_back()
    assert (back.version, back.active) == (3, "b")
    assert back.rolled_back().active == "a"
    with pytest.raises(ConflictError, match="nothing to roll back to"):
        back.rolled_back().rolled_back()
    kept = control.model_copy(update={"experiments": running(declaration()), "holdout": 0.1}).following_newest()
    assert (kept.version, kept.active, kept.before, kept.holdout) == (3, None, (), 0.1)
    assert [one.name for one in kept.experiments] == ["blend"], "experiments go on"


async def test_a_document_is_changed_only_as_it_was_read(opened: OpenStore, store_url: str) -> None:
    """Compare and set, on every store; somebody else's decision in between is built upon, not overwritten."""
    store = opened(store_url)
    before = await store.document("control")
    assert before is not None
    assert not await store.change_document("control", before.version + 7, Document(before.version + 8, b"{}"))
    assert await store.document("control") == before
    assert await store.document("control", unless=before.version) is None
    here, there = control_state(store), control_state(opened(store_url))
    start = (await here.poll()).version

    meanwhile = ["there"]

    def decide(control: Control) -> Control:
        return control.activated(f"here after {control.active}", served=None)

    original = store.change_document

    async def interrupted(name: str, expected: int, document: Document) -> bool:
        if meanwhile:
            await there.change(lambda control: control.activated(meanwhile.pop(), served=None))
        return await original(name, expected, document)

    store.change_document = interrupted  # type: ignore[method-assign]
    decided = await here.change(decide)
    assert (decided.active, decided.version) == ("here after there", start + 2)
    assert (await there.poll()) == decided
    await here.change(lambda control: control.following_newest())


async def test_a_store_that_was_started_empty_gets_the_decisions_back(opened: OpenStore, tmp_path: Path) -> None:
    """Whoever knows the latest version writes it; one who knows less follows."""
    full = opened(f"sqlite:///{tmp_path}/full.sqlite3")
    early, late = control_state(full), control_state(full)
    await early.change(lambda control: control.activated("a", served=None))
    decided = await late.change(lambda control: control.activated("b", served=None))
    empty = opened(f"sqlite:///{tmp_path}/empty.sqlite3")
    for document in (early, late):
        document._store = empty
    await early.poll()
    assert await empty.document("control") == Document(1, early.current.model_dump_json().encode())
    await late.poll()
    assert await early.poll() == await control_state(empty).poll() == decided


async def test_a_decision_about_a_store_that_was_started_empty_counts_on(opened: OpenStore, tmp_path: Path) -> None:
    """As a first one it would be undone by whoever knows a later one, or not be seen by who knows as many."""
    full, empty = (opened(f"sqlite:///{tmp_path}/{name}.sqlite3") for name in ("full", "empty"))
    deciding, following = control_state(full), control_state(full)
    for name in ("a", "b"):
        await deciding.change(lambda control, name=name: control.activated(name, served=None))  # type: ignore[misc]
    assert (await following.poll()).active == "b"
    for document in (deciding, following):
        document._store = empty
    decided = await deciding.change(lambda control: control.activated("c", served=None))
    assert (decided.version, decided.before) == (3, ("a", "b"))
    assert await following.poll() == await control_state(empty).poll() == decided


async def test_unavailable_items_are_added_and_taken_back(opened: OpenStore, store_url: str) -> None:
    document = availability(opened(store_url))
    start = (await document.poll()).version
    await document.change(lambda known: known.changed(gone=["a", "b"]))
    assert await availability(opened(store_url)).poll() == Unavailable(version=start + 1, item_ids=frozenset("ab"))
    await document.change(lambda known: known.changed(gone=["c"], back=["a", "c", "never there"]))
    assert document.current.item_ids == {"b"}
    await document.change(lambda known: known.changed(back=["b"]))


async def test_what_is_not_available_is_shown_nowhere(tiny_bundle: Path) -> None:
    """Of a, b, c along x the item b is gone: from lists, similar items, intents, and from the bundle after it."""
    registry = Registry(tiny_bundle)
    registry.hide(frozenset({"b", "not in this bundle"}))
    await registry.refresh()
    engine = registry.engine()
    answer = engine.recommend([Question(history=["a"], k=6), Question(history=[], k=6)], Stages())
    assert [ids(engine, one.ranking) for one in answer] == ["acedf", "acdef"]
    assert [item.item_id for item in engine.similar("a", 2)] == ["c", "e"]
    assert [item.item_id for item in engine.intent_items(0, 2)] == ["a", "c"]
    registry.hide(frozenset("d"))
    assert [[item.item_id for item in one.top_items] for one in (await all_intents(engine)).intents] == [["a"], []]
    registry.hide(frozenset())
    assert ids(engine, engine.recommend([Question(history=["a"], k=2)], Stages())[0].ranking) == "ab"


async def test_what_becomes_unavailable_while_bundles_are_prepared_is_hidden_in_all(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a canary, which is there, and a shadow, which is being loaded."""
    for at, name in enumerate(("shadow", "canary", "active")):
        newer(rewritten(tiny_bundle, tmp_path, name), at)
    sides = {path.name.partition("-")[0]: Side(bundle_id=path.name, share=0.5) for path in tmp_path.iterdir()}
    registry, load = Registry(tmp_path), Engine.load

    def loading(path: Path, **options: Any) -> Engine:
        if path.name.startswith("shadow"):
            registry.hide(frozenset("b"))
        return load(path, **options)

    monkeypatch.setattr(Engine, "load", loading)
    await registry.refresh(Control(canary=sides["canary"], shadow=sides["shadow"]))
    for side in sides.values():
        engine = registry.engine(side.bundle_id)
        assert ids(engine, engine.recommend([Question(history=["a"], k=6)], Stages())[0].ranking) == "acedf"


async def test_everything_else_is_followed_while_a_bundle_is_prepared(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large one takes minutes beside the traffic."""
    prepared, begun, load = threading.Event(), threading.Event(), Engine.load

    def loading(path: Path, **options: Any) -> Engine:
        if path.name.startswith("large"):
            begun.set()
            assert prepared.wait(30)
        return load(path, **options)

    monkeypatch.setattr(Engine, "load", loading)
    newer(rewritten(tiny_bundle, tmp_path / "bundles", "small"), 1)
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    settings = Settings(bundle=tmp_path / "bundles", store=url, poll_seconds=0.02)
    store = open_store(url)

    def shown(client: TestClient) -> tuple[str, str]:
        answer = client.post("/v1/recommendations", json={"history": ["a"], "k": 2}).json()
        return answer["bundle_id"].partition("-")[0], "".join(item["item_id"] for item in answer["items"])

    with TestClient(create_app(settings)) as client:
        newer(rewritten(tiny_bundle, tmp_path / "bundles", "large"), 2)
        assert await asyncio.to_thread(begun.wait, 10)
        await availability(store).change(lambda known: known.changed(gone=["b"]))
        async with asyncio.timeout(10):
            while shown(client) != ("small", "ce"):
                await asyncio.sleep(0.02)
        prepared.set()
        async with asyncio.timeout(10):
            while shown(client) != ("large", "ce"):
                await asyncio.sleep(0.02)
    await store.close()


async def test_the_active_bundle_is_served_whatever_is_newer(tiny_bundle: Path, tmp_path: Path) -> None:
    first, second = (newer(rewritten(tiny_bundle, tmp_path, name), at) for at, name in enumerate(("first", "second")))
    registry = Registry(tmp_path)
    await registry.refresh(Control(active=first.name))
    assert registry.engine().bundle_id == first.name
    await registry.refresh(Control(active="gone-0123456789abcdef"))
    assert registry.engine().bundle_id == first.name, "it serves until the active one is there"
    await registry.refresh()
    assert registry.engine().bundle_id == second.name
    waiting = Registry(tmp_path)
    await waiting.refresh(Control(active="gone-0123456789abcdef"))
    with pytest.raises(NotReadyError, match="the bundle gone-0123456789abcdef was chosen and is not in"):
        waiting.engine()


@pytest.fixture
async def admin(tiny_bundle: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The admin port over two sound bundles and one whose encoder is no graph."""
    root = tmp_path / "bundles"
    newer(rewritten(tiny_bundle, root, "first"), 1)
    newer(rewritten(tiny_bundle, root, "second"), 2)
    newer(rewritten(tiny_bundle, root, "broken", **{"encoder.onnx": b"not a graph"}), 0)
    settings = Settings(bundle=root, store=f"sqlite:///{tmp_path}/store.sqlite3")
    app = create_admin_app(settings, str(tmp_path))
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://admin") as client,
    ):
        yield client


async def test_availability_over_the_admin_port(admin: httpx.AsyncClient) -> None:
    gone = await admin.post("/admin/items/availability", json={"unavailable": ["x", "y"]})
    assert (gone.status_code, gone.json()) == (200, {"version": 1, "unavailable": 2})
    await admin.post("/admin/items/availability", json={"available": ["y"]})
    assert (await admin.get("/admin/items/unavailable")).json() == {"version": 2, "item_ids": ["x"]}
    wrong = await admin.post("/admin/items/availability", json={"unavailable": [""]})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "invalid_request")


async def test_activate_and_roll_back_over_the_admin_port(admin: httpx.AsyncClient, tmp_path: Path) -> None:
    listed = (await admin.get("/admin/bundles")).json()["bundles"]
    second, first, broken = (entry["bundle_id"] for entry in listed)
    assert [entry["active"] for entry in listed] == [True, False, False]
    activated = await admin.post(f"/admin/bundles/{first}/activate")
    assert (activated.status_code, activated.json()["active"]) == (200, first)
    answer = (await admin.get("/admin/bundles")).json()
    assert [entry["active"] for entry in answer["bundles"]] == [False, True, False]
    decided = {"version": 1, "active": first, "before": [second], "experiments": [], "holdout": 0.0}
    assert answer["control"] == decided
    assert (await admin.post("/admin/bundles/rollback")).json()["active"] == second
    nothing = await admin.post("/admin/bundles/rollback")
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "conflict")
    assert (await admin.post("/admin/bundles/newest")).json()["active"] is None
    refused = await admin.post(f"/admin/bundles/{broken}/activate")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "bundle_refused")
    unknown = await admin.post("/admin/bundles/..%2Fetc/activate")
    assert unknown.status_code == 404
    assert (await admin.post("/admin/bundles/nothing/activate")).json()["error"]["code"] == "unknown_bundle"


async def test_trials_over_the_admin_port(admin: httpx.AsyncClient) -> None:
    """A canary and a shadow begin and end; activating the canary ends its trial; what is broken is not tried."""
    listed = (await admin.get("/admin/bundles")).json()["bundles"]
    second, first, broken = (entry["bundle_id"] for entry in listed)
    await admin.post(f"/admin/bundles/{second}/activate")
    begun = await admin.post(f"/admin/bundles/{first}/canary", json={"share": 0.25})
    assert begun.json()["canary"] == {"bundle_id": first, "share": 0.25}
    both = await admin.post(f"/admin/bundles/{first}/shadow", json={"share": 1})
    assert both.json()["shadow"] == {"bundle_id": first, "share": 1.0}
    assert (await admin.delete("/admin/bundles/shadow")).json()["shadow"] is None
    promoted = (await admin.post(f"/admin/bundles/{first}/activate")).json()
    assert (promoted["active"], promoted["canary"], promoted["before"]) == (first, None, [second])
    assert (await admin.post(f"/admin/bundles/{broken}/canary", json={"share": 0.5})).status_code == 409
    assert (await admin.post(f"/admin/bundles/{second}/canary", json={"share": 1.5})).status_code == 422
    assert (await admin.post(f"/admin/bundles/{second}/nonsense", json={"share": 0.5})).status_code == 422


async def test_a_damaged_manifest_is_listed_with_what_is_wrong(admin: httpx.AsyncClient, tmp_path: Path) -> None:
    manifest = next((tmp_path / "bundles").glob("second-*")) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    listed = (await admin.get("/admin/bundles")).json()["bundles"]
    assert "the manifest was altered" in listed[0]["problem"]
    assert [entry["active"] for entry in listed] == [False, True, False], "the newest sound one is served"


def ids(engine: Engine, ranking: Ranking) -> str:
    """The ranked items' ids, which are single letters, in one word."""
    return "".join(engine.vocabulary.item_id(row) for row in ranking.rows.tolist())
