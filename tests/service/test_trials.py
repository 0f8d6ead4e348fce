"""Canary and shadow: who gets which bundle, and what is compared without anybody noticing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from service.control import Control, Side
from service.engine import Engine
from service.experiments.activity import Activity
from service.experiments.hashing import BUCKETS, bucket
from service.exposing import Exposing
from service.last_intents import LastIntents
from service.question import Question
from service.recommending import Recommending
from service.registry import Registry
from service.schemas import RecommendationRequest
from service.shadow import Shadow
from service.stores.base import SequenceStore
from service.telemetry import Stages
from tests.conftest import TINY_ITEMS, write_tiny_bundle
from tests.service.experiments.declared import declaration, running
from tests.service.test_registry import newer, rewritten

OpenStore = Callable[..., SequenceStore]
USERS = [f"user-{number}" for number in range(4000)]


def sampled(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


@pytest.fixture
async def registry(tiny_bundle: Path, tmp_path: Path) -> Registry:
    """Two bundles: `second` is active, `first` has other popular items."""
    newer(rewritten(tiny_bundle, tmp_path, "first"), 1)
    newer(rewritten(tiny_bundle, tmp_path, "second"), 2)
    found = Registry(tmp_path)
    await found.refresh()
    return found


def recommend_with(registry: Registry, store: SequenceStore, shadow: Shadow | None = None) -> Recommending:
    return Recommending(registry, store, LastIntents(), Exposing(None, Activity()), shadow)


def named(tmp_path: Path, name: str) -> str:
    return next(tmp_path.glob(f"{name}-*")).name


def test_buckets_are_even_and_independent_of_each_other() -> None:
    """4,000 users over 10 parts: 400 each, with a standard deviation of 19; two salts agree by chance alone."""
    parts = [0] * 10
    for user in USERS:
        parts[bucket("a", user) * 10 // BUCKETS] += 1
    assert all(320 < part < 480 for part in parts)
    both = sum(bucket("a", user) < BUCKETS / 2 and bucket("b", user) < BUCKETS / 2 for user in USERS)
    assert 880 < both < 1120


async def test_a_canary_gets_its_share_and_always_the_same_users(registry: Registry, tmp_path: Path) -> None:
    """A quarter of the users; a larger share keeps them all; who names no user gets the active bundle."""
    first, second = named(tmp_path, "first"), named(tmp_path, "second")
    await registry.refresh(Control(active=second, canary=Side(bundle_id=first, share=0.25)))
    quarter = {user for user in USERS if registry.engine_for(user).bundle_id == first}
    assert 880 < len(quarter) < 1120
    await registry.refresh(Control(active=second, canary=Side(bundle_id=first, share=0.5)))
    assert quarter < {user for user in USERS if registry.engine_for(user).bundle_id == first}
    assert registry.engine_for(None).bundle_id == second
    assert registry.engine_for("user-1", second).bundle_id == registry.engine(second).bundle_id == second
    assert registry.engine(first).bundle_id == first, "it can be asked for by name"


async def test_a_promoted_canary_is_not_loaded_again(registry: Registry, tmp_path: Path) -> None:
    first, second = named(tmp_path, "first"), named(tmp_path, "second")
    await registry.refresh(Control(active=second, canary=Side(bundle_id=first, share=0.5)))
    canary = registry.engine(first)
    await registry.refresh(Control(active=first))
    assert registry.engine() is canary
    assert {registry.engine_for(user) for user in USERS[:50]} == {canary}


async def test_a_variant_s_bundle_that_was_the_active_one_is_not_loaded_again(
    registry: Registry, tmp_path: Path
) -> None:
    """Nor when it becomes the active one again."""
    first, second = named(tmp_path, "first"), named(tmp_path, "second")
    variants = [{"name": "a", "weight": 5000, "bundle_id": first}, {"name": "b", "weight": 5000, "bundle_id": second}]
    experiments = running(declaration(variants=variants))
    await registry.refresh(Control(active=second, experiments=experiments))
    engines = registry.engine_of_variant(first), registry.engine_of_variant(second)
    await registry.refresh(Control(active=first, experiments=experiments))
    assert registry.engine() is engines[0]
    assert (registry.engine_of_variant(first), registry.engine_of_variant(second)) == engines
    await registry.refresh(Control(active=second))
    assert registry.engine() is engines[1]
    assert registry.engine_of_variant(first) is engines[1], "nobody needs it any more"


async def test_a_canary_that_cannot_be_loaded_costs_nobody_an_answer(registry: Registry, tmp_path: Path) -> None:
    await registry.refresh(Control(canary=Side(bundle_id="gone-0123456789abcdef", share=1.0)))
    assert registry.engine_for("user-1").bundle_id == named(tmp_path, "second")


async def test_items_are_hidden_from_trials_too(registry: Registry, tmp_path: Path) -> None:
    registry.hide(frozenset({"b"}))
    first = named(tmp_path, "first")
    await registry.refresh(Control(canary=Side(bundle_id=first, share=1.0)))
    ranking = registry.engine(first).recommend([Question(history=["a"], k=2)], Stages())[0].ranking
    assert ranking.rows.tolist() == [1, 3]


async def test_a_batch_is_answered_from_one_whole_bundle_each(
    registry: Registry, opened: OpenStore, tmp_path: Path
) -> None:
    """Each answer names its user's bundle, in the order of the requests."""
    first = named(tmp_path, "first")
    await registry.refresh(Control(canary=Side(bundle_id=first, share=0.5)))
    recommending = recommend_with(registry, opened(f"sqlite:///{tmp_path}/s.sqlite3"))
    requests = [RecommendationRequest(user_id=user, history=["a"]) for user in USERS[:40]]
    answers = [json.loads(answer) for answer in await recommending.answer(requests)]
    wanted = [registry.engine_for(user).bundle_id for user in USERS[:40]]
    assert [answer["bundle_id"] for answer in answers] == wanted
    assert len(set(wanted)) == 2


async def test_a_shadow_is_compared_and_answers_nobody(tmp_path: Path, opened: OpenStore) -> None:
    """The shadow knows five of the six items: of two lists of 3 the first it shows whole, of the second two."""
    root = tmp_path / "bundles"
    newer(write_tiny_bundle(root, "active"), 2)
    newer(write_tiny_bundle(root, "shadow", [*TINY_ITEMS[:5], "other"]), 1)
    registry = Registry(root)
    await registry.refresh(Control(shadow=Side(bundle_id=named(root, "shadow"), share=1.0)))
    shadow = Shadow(registry)
    recommending = recommend_with(registry, opened(f"sqlite:///{tmp_path}/s.sqlite3"), shadow)
    before = [sampled(f"intently_shadow_overlap_{name}") for name in ("count", "sum")]
    requests = [RecommendationRequest(history=[item], k=3, exclude_seen=False) for item in ("a", "d")]
    answers = [json.loads(answer) for answer in await recommending.answer(requests)]
    assert {answer["bundle_id"] for answer in answers} == {named(root, "active")}
    shadow.close()
    after = [sampled(f"intently_shadow_overlap_{name}") for name in ("count", "sum")]
    assert after[0] - before[0] == 2
    assert after[1] - before[1] == pytest.approx(1 + 2 / 3)


async def test_a_shadow_that_fails_is_logged_and_nothing_else(
    registry: Registry,
    opened: OpenStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = named(tmp_path, "first")
    await registry.refresh(Control(shadow=Side(bundle_id=first, share=1.0)))
    shadow = Shadow(registry)
    recommending = recommend_with(registry, opened(f"sqlite:///{tmp_path}/s.sqlite3"), shadow)
    broken, whole = registry.engine(first), Engine.recommend

    def failing(engine: Engine, *rest: object) -> object:
        if engine is broken:
            raise RuntimeError("the shadow is broken")
        return whole(engine, *rest)

    monkeypatch.setattr(Engine, "recommend", failing)
    answer = json.loads((await recommending.answer([RecommendationRequest(history=["a"])]))[0])
    shadow.close()
    assert answer["source"] == "model"
    assert f"the shadow {first} failed" in caplog.text
