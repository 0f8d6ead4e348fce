"""From a list that is shown to a row of the exposure files: none is lost, nothing is kept of an erased user."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from errno import ENOENT, ENOSPC
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from service.app import create_app
from service.control import Control, control_state
from service.event_log.entries import Erasure, encoded
from service.event_log.writer import LogWriter
from service.experiments.activity import Activity
from service.exposing import Exposing
from service.last_intents import LastIntents
from service.recommending import Recommending
from service.registry import Registry
from service.schemas import RecommendationRequest
from service.settings import Settings
from service.spool import NAMES, Spool
from service.stores.base import SequenceStore, StoredEvent, StoreUnavailableError, event_key
from service.stores.opening import open_store
from tests.service.experiments.shown import both, exposed, rows
from tests.service.test_event_log import NOON


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("intently_exposures_dropped_total", {"reason": reason}) or 0.0


@pytest.fixture
async def spool(store: SequenceStore, tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "log", lambda content: store.append([], content))
    yield spool
    await spool.close()


@pytest.fixture
async def recommending(tiny_bundle: Path, store: SequenceStore, spool: Spool) -> Recommending:
    """Two experiments are running."""
    registry = Registry(tiny_bundle)
    await registry.refresh()
    found = Recommending(registry, store, LastIntents(), Exposing(spool, Activity()))
    found.follow(Control(version=1, experiments=both()))
    return found


async def buffered(store: SequenceStore, count: int = 1) -> None:
    """So many entries are in the store's buffer."""
    async with asyncio.timeout(10):
        while await store.logged_count() < count:
            await asyncio.sleep(0.01)
    assert await store.logged_count() == count


async def test_whoever_has_an_answer_is_in_the_buffer(
    recommending: Recommending, store: SequenceStore, writer: LogWriter, tmp_path: Path
) -> None:
    """A moment later; the files say what the answers said; raw histories leave none."""
    known = f"{tmp_path.name}-known"
    await store.append([StoredEvent(known, "a", at, event_key(str(at))) for at in range(6)])
    users = [known, *(f"{tmp_path.name}-{number}" for number in range(20)), known, "t"]
    requests = [RecommendationRequest(user_id=user, k=2, attributes={"n": at}) for at, user in enumerate(users)]
    requests[1] = requests[1].model_copy(update={"timestamp": "2026-01-01T12:00:00Z"})
    answers = [
        json.loads(one) for one in await recommending.answer([*requests, RecommendationRequest(history=["a"], k=2)])
    ]
    await buffered(store)
    assert await writer.write() == 2 * len(users)
    written = rows(tmp_path / "log", "recommendation_id, experiment, variant, user_id, attributes, items, tester")
    wanted = {
        (answer["recommendation_id"], one["experiment"]): (
            one["variant"], user, f'{{"n":{at}}}', [item["item_id"] for item in answer["items"]],
            user == "t" and one["experiment"] == "blend",
        )
        for at, (user, answer) in enumerate(zip(users, answers, strict=False))
        for one in answer["experiments"]
    }  # fmt: skip
    assert {row[:2]: row[2:] for row in written} == wanted
    assert len(written) == len(wanted), "none twice"
    about = rows(tmp_path / "log", "user_id = 't', user_group, stored_events, timestamp = received, timestamp")
    assert {row[1:3] for row in about} == {("low", 6), ("pure_new", 0)}
    assert [row[4] for row in about if not row[3]] == [NOON, NOON], "the time that the request names"
    counted = REGISTRY.get_sample_value("intently_exposures_total", {"experiment": "other", "variant": "b"})
    assert counted is not None
    await store.erase(known, encoded([Erasure(known, datetime.now(UTC).timestamp())]))
    await writer.write()
    assert known not in rows(tmp_path / "log")


async def test_what_arrives_after_an_erasure_that_came_after_it_is_erased_too(
    store: SequenceStore, writer: LogWriter, tmp_path: Path
) -> None:
    """It was still on its way; what was shown to the user later is kept."""
    await store.append([], exposed("u", NOON))
    assert await writer.write() == 1
    await store.erase("u", encoded([Erasure("u", time.time())]))
    await writer.write()
    await store.append([], exposed("u", NOON + 1) + exposed("v", NOON) + exposed("u", time.time() + 60))
    assert await writer.write() == 2
    assert sorted(rows(tmp_path / "log")) == ["u", "v"]


async def test_an_answer_does_not_fail_with_its_exposure(
    recommending: Recommending,
    store: SequenceStore,
    spool: Spool,
    writer: LogWriter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The writer is behind, the disk full, or there is no log: each is counted. A store that is away gets it later."""

    async def refuse(*_: object) -> Any:
        raise StoreUnavailableError("away")

    def full(_: bytes) -> None:
        raise OSError(ENOSPC, "No space left on device")

    async def asked() -> str:
        [answer] = await recommending.answer([RecommendationRequest(user_id="t", history=["a"])])
        return str(json.loads(answer)["variant"])

    before = {reason: dropped(reason) for reason in ("full", "disk", "no_log")}
    recommending._exposing.full = True
    assert await asked() == "treatment"
    recommending._exposing.full = False
    with monkeypatch.context() as failing:
        failing.setattr(spool._written, "add", full)
        assert await asked() == "treatment"
    recommending._exposing._spool = None
    assert await asked() == "treatment"
    recommending._exposing._spool = spool
    after = {reason: dropped(reason) - before[reason] for reason in before}
    assert after == {"full": 2, "disk": 2, "no_log": 2}, "two experiments each"
    assert await store.logged_count() == 0
    with monkeypatch.context() as failing:
        failing.setattr(store, "append", refuse)
        failing.setattr(store, "recent_many", refuse)
        assert await asked() == "treatment"
        await asyncio.sleep(0.2)
    await buffered(store)
    assert await writer.write() == 2
    known = rows(tmp_path / "log", "degraded IS NULL, user_group, stored_events")
    assert known == [(False, None, None)] * 2, "nobody knew how active the user is"


def test_the_time_of_a_list_is_checked(tiny_bundle: Path, tmp_path: Path) -> None:
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    with TestClient(create_app(settings)) as client:
        for when, status, code in (
            (1.5, 200, None),
            ("2026-01-01T12:00:00+02:00", 200, None),
            (4e9, 409, "bad_timestamp"),
            (-1, 409, "bad_timestamp"),
            ("yesterday", 422, "invalid_request"),
            ("2026-01-01T12:00:00", 422, "invalid_request"),
            (True, 422, "invalid_request"),
        ):
            body = {"user_id": "u", "timestamp": when}
            answer = client.post("/v1/recommendations", json=body)
            [inside] = client.post("/v1/recommendations/batch", json={"requests": [body]}).json()["answers"]
            assert answer.status_code == status, answer.text
            assert answer.json().get("error", {}).get("code") == inside.get("error", {}).get("code") == code


async def test_beyond_half_of_the_buffer_exposures_are_dropped_and_events_are_not(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """With room for 1 MB: after 500 kB of exposures no more come, until the writer has been there."""
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    store = open_store(url)
    await control_state(store).change(lambda control: control.experimenting(lambda _: both()))
    settings = Settings(bundle=tiny_bundle, store=url, events=tmp_path / "log", events_buffer_mb=1, poll_seconds=0.02)
    before = dropped("full")
    with TestClient(create_app(settings)) as client:
        while dropped("full") == before:
            assert client.post("/v1/recommendations", json={"user_id": "u"}).json()["variant"]
        assert await store.logged_bytes() > 500_000
        answer = client.post("/v1/events", json={"events": [{"user_id": "u", "item_id": "a", "timestamp": 1}]})
        assert [one["status"] for one in answer.json()["results"]] == ["accepted"]
    await store.close()


def test_a_volume_that_hangs_keeps_nobody_waiting(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network's volume that is away may not even raise an error."""
    back, asked = threading.Event(), threading.Event()
    glob = Path.glob

    def hanging(path: Path, pattern: str) -> Any:
        if pattern == NAMES and not back.is_set():
            asked.set()
            back.wait(30)
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", hanging)
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    settings = Settings(bundle=tiny_bundle, store=url, events=tmp_path / "log", poll_seconds=0.02)
    with TestClient(create_app(settings)) as client:
        assert asked.wait(10)
        assert client.post("/v1/recommendations", json={"history": ["a"]}).status_code == 200
        assert client.get("/health/live").status_code == 200
        assert not back.is_set()
        back.set()


async def test_a_volume_that_is_away_keeps_no_worker_from_following(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others left there is looked for again the next time."""

    async def away(_: Spool) -> int:
        raise OSError(ENOENT, "No such file or directory")

    monkeypatch.setattr(Spool, "adopt", away)
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    settings = Settings(bundle=tiny_bundle, store=url, events=tmp_path / "log", poll_seconds=0.02)
    store = open_store(url)
    with TestClient(create_app(settings)) as client:
        await control_state(store).change(lambda control: control.experimenting(lambda _: both()))
        async with asyncio.timeout(10):
            while "variant" not in client.post("/v1/recommendations", json={"user_id": "u"}).json():
                await asyncio.sleep(0.02)
    await store.close()
