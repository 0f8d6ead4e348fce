"""Users of running experiments get their variants' bundles and options, and are told so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.control import Control, Side
from service.experiments.activity import Activity
from service.experiments.assignment import Assignments
from service.exposing import Exposing
from service.last_intents import LastIntents
from service.recommending import Recommending
from service.registry import Registry
from service.schemas import RecommendationRequest
from service.stores.base import SequenceStore, StoredEvent, StoreUnavailableError, event_key
from tests.service.experiments.declared import declaration, running
from tests.service.test_registry import newer, rewritten

OpenStore = Callable[..., SequenceStore]
GONE = "gone-0123456789abcdef"


@pytest.fixture
async def bundles(tiny_bundle: Path, tmp_path: Path) -> dict[str, str]:
    """Three bundles by name; `active` is the newest."""
    paths = {name: rewritten(tiny_bundle, tmp_path / "bundles", name) for name in ("first", "second", "active")}
    return {name: newer(path, at).name for at, (name, path) in enumerate(paths.items())}


@pytest.fixture
async def recommending(bundles: dict[str, str], tmp_path: Path, opened: OpenStore) -> Recommending:
    """Over a real store; `follow` the control state with both of its parts."""
    store = opened(f"sqlite:///{tmp_path}/s.sqlite3")
    exposing = Exposing(None, Activity())
    return Recommending(Registry(tmp_path / "bundles"), store, LastIntents(), exposing)


async def follow(recommending: Recommending, control: Control) -> None:
    await recommending._registry.refresh(control)
    recommending.follow(control)


async def asked(recommending: Recommending, **request: Any) -> dict[str, Any]:
    [answer] = await recommending.answer([RecommendationRequest(**request)])
    return dict(json.loads(answer))


def arms(**treatment: Any) -> list[dict[str, Any]]:
    return [{"name": "control", "weight": 5000}, {"name": "treatment", "weight": 5000, **treatment}]


def listed(**treatment: Any) -> Any:
    """`c` is a tester of the control, `t` one of the treatment."""
    return declaration(variants=arms(**treatment), testers={"control": ["c"], "treatment": ["t"]})


async def test_a_variant_s_bundle_answers_its_users(recommending: Recommending, bundles: dict[str, str]) -> None:
    """As many as the weight says, each as the assignment says; nobody who names no user, or insists on a bundle."""
    control = Control(experiments=running(declaration(variants=arms(bundle_id=bundles["first"])), share=0.5))
    await follow(recommending, control)
    users = [f"user-{number}" for number in range(60)]
    requests = [RecommendationRequest(user_id=user, history=["a"]) for user in users]
    answers = [json.loads(answer) for answer in await recommending.answer(requests)]
    assignments, seen = Assignments(control.experiments), set()
    for user, answer in zip(users, answers, strict=True):
        variant = next((one.variant for one in assignments.assign(user)), None)
        seen.add(variant)
        assert (answer.get("experiment"), answer.get("variant")) == ("blend" if variant else None, variant)
        assert answer["bundle_id"] == bundles["first" if variant == "treatment" else "active"]
        assert "experiments" not in answer
    assert seen == {None, "control", "treatment"}
    raw = await asked(recommending, history=["a"])
    assert "experiment" not in raw
    insisted = await recommending.answer(requests, recommending._registry.engine(bundles["first"]))
    assert {json.loads(answer)["bundle_id"] for answer in insisted} == {bundles["first"]}
    assert not any(b"experiment" in answer for answer in insisted)


async def test_who_compares_bundles_is_not_in_the_canary(recommending: Recommending, bundles: dict[str, str]) -> None:
    everybody = Side(bundle_id=bundles["second"], share=1.0)
    await follow(recommending, Control(canary=everybody, experiments=running(listed(bundle_id=bundles["first"]))))
    assert (await asked(recommending, user_id="c", history=["a"]))["bundle_id"] == bundles["active"]
    assert (await asked(recommending, user_id="t", history=["a"]))["bundle_id"] == bundles["first"]
    await follow(recommending, Control(canary=everybody, experiments=running(listed(options={"diversity": 1}))))
    assert (await asked(recommending, user_id="t", history=["a"]))["bundle_id"] == bundles["second"]


async def test_a_variant_stands_where_its_bundle_cannot_answer(
    recommending: Recommending, bundles: dict[str, str]
) -> None:
    """It is not loaded: the active one answers, which the answer's bundle_id says."""
    await follow(recommending, Control(experiments=running(listed(bundle_id=GONE))))
    answer = await asked(recommending, user_id="t", history=["a"])
    assert (answer["variant"], answer["bundle_id"]) == ("treatment", bundles["active"])


async def test_options_take_the_place_of_the_request_s(recommending: Recommending) -> None:
    """One item of each category instead of two; a user without a history gets what is popular, not the category."""
    options = {"max_per_category": 1, "fallback": ["popular"]}
    await follow(recommending, Control(experiments=running(listed(options=options))))
    lists = {
        user: [
            item["item_id"]
            for item in (await asked(recommending, user_id=user, history=["a"], k=4, max_per_category=2))["items"]
        ]
        for user in "ct"
    }
    assert lists == {"c": ["b", "c", "e", "d"], "t": ["b", "e"]}
    sources = {user: (await asked(recommending, user_id=user, attributes={"category": "y"}))["source"] for user in "ct"}
    assert sources == {"c": "popular_in_category", "t": "popular"}


async def test_experiments_of_several_layers_are_all_named(recommending: Recommending, bundles: dict[str, str]) -> None:
    both = running(
        listed(options={"diversity": 1.0}),
        declaration("bundles", "other", variants=arms(bundle_id=bundles["first"]), testers={"treatment": ["t"]}),
    )
    await follow(recommending, Control(experiments=both))
    answer = await asked(recommending, user_id="t", history=["a"], k=2, exclude_seen=False)
    assert (answer["experiment"], answer["variant"]) == ("blend", "treatment")
    assert answer["experiments"] == [
        {"experiment": "blend", "variant": "treatment"},
        {"experiment": "bundles", "variant": "treatment"},
    ]
    assert answer["bundle_id"] == bundles["first"]
    assert [item["item_id"] for item in answer["items"]] == ["a", "d"], "both took effect"


async def test_groups_are_of_what_is_stored(recommending: Recommending, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six events make a user `low`; while the store is away nobody's group is known, and nobody is in by a group."""
    await recommending._store.append([StoredEvent("six", "a", at, event_key(str(at))) for at in range(6)])
    targeting = {"user_groups": ["low"], "attributes": {"country": ["de"]}}
    await follow(recommending, Control(experiments=running(declaration(targeting=targeting))))
    right = {"attributes": {"country": "de"}}
    assert (await asked(recommending, user_id="six", **right))["experiment"] == "blend"
    assert "experiment" not in await asked(recommending, user_id="six")
    assert "experiment" not in await asked(recommending, user_id="nobody", **right)

    async def away(user_ids: list[str]) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(recommending._store, "recent_many", away)
    degraded = await asked(recommending, user_id="six", **right)
    assert degraded["degraded"] == "store_unavailable"
    assert "experiment" not in degraded
