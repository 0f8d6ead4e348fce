"""What a ranker is told of a request: how active the user is, by what the store holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.control import Control, Side
from service.registry import Registry
from service.schemas import RecommendationRequest
from service.settings import Settings
from service.shadow import Shadow
from service.stores.base import SequenceStore, StoreUnavailableError
from tests.conftest import write_tiny_bundle
from tests.service.inference.test_ranker import with_ranker
from tests.service.test_registry import newer
from tests.service.test_trials import recommend_with, sampled

OpenStore = Callable[..., SequenceStore]


def shown(answer: dict[str, Any]) -> str:
    return "".join(item["item_id"] for item in answer["items"])


def test_the_ranker_knows_how_active_the_user_is(tiny_bundle: Path, tmp_path: Path) -> None:
    """Who is new gets popular items by y: d, b. After d has happened e, f, b, a are candidates, ranked by x: a, b."""
    settings = Settings(bundle=with_ranker(tiny_bundle, tmp_path), store=f"sqlite:///{tmp_path}/s.sqlite3")
    with TestClient(create_app(settings)) as client:

        def ask(**request: Any) -> dict[str, Any]:
            answer: dict[str, Any] = client.post("/v1/recommendations", json=request | {"k": 2}).json()
            return answer

        assert shown(ask(user_id="u")) == "db"
        client.post("/v1/events", json={"events": [{"user_id": "u", "item_id": "d", "timestamp": 1}]})
        assert shown(ask(user_id="u")) == "ab"
        assert shown(ask(history=["d"])) == "ab", "nobody's history is as long as it is"
        assert shown(ask(user_id="stranger", history=["d"])) == "ef", "whose store holds nothing is new"


async def test_a_shadow_with_a_ranker_is_asked_as_it_would_be(tmp_path: Path, opened: OpenStore) -> None:
    """After d the active bundle shows e and f, the shadow a and b: nothing in common."""
    root = tmp_path / "bundles"
    newer(write_tiny_bundle(root, "active"), 2)
    ranked = newer(with_ranker(write_tiny_bundle(tmp_path, "first"), root), 1)
    registry = Registry(root)
    await registry.refresh(Control(shadow=Side(bundle_id=ranked.name, share=1.0)))
    shadow = Shadow(registry)
    recommending = recommend_with(registry, opened(f"sqlite:///{tmp_path}/s.sqlite3"), shadow)
    before = [sampled(f"intently_shadow_overlap_{name}") for name in ("count", "sum")]
    answer = json.loads((await recommending.answer([RecommendationRequest(history=["d"], k=2)]))[0])
    shadow.close()
    assert shown(answer) == "ef"
    after = [sampled(f"intently_shadow_overlap_{name}") for name in ("count", "sum")]
    assert (after[0] - before[0], after[1] - before[1]) == (1, 0)


async def test_without_the_store_the_first_stage_answers(
    tiny_bundle: Path, tmp_path: Path, opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not known then how active the user is: the most popular items in their own order."""
    registry = Registry(with_ranker(tiny_bundle, tmp_path))
    await registry.refresh()
    store = opened(f"sqlite:///{tmp_path}/s.sqlite3")

    async def away(*_: object) -> list[list[str]]:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(store, "recent_many", away)
    answer = json.loads((await recommend_with(registry, store).answer([RecommendationRequest(user_id="u", k=2)]))[0])
    assert (shown(answer), answer["degraded"]) == ("ab", "store_unavailable")
