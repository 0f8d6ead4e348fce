"""From a list that is shown to a row of the exposure files: none is lost, nothing is kept of an erased user."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from service.app import create_app
from service.control import Control, control_state
from service.event_log.entries import Erasure, LoggedEvent, encoded
from service.event_log.files import EventFiles
from service.event_log.writer import LogWriter
from service.experiments.activity import Activity
from service.experiments.assignment import Assignments
from service.experiments.exposures import entry
from service.experiments.lifecycle import Experiments
from service.exposing import Exposing
from service.last_intents import LastIntents
from service.loading import load
from service.recommending import Recommending
from service.registry import Registry
from service.schemas import RecommendationRequest
from service.settings import Settings
from service.stores.base import SequenceStore, StoredEvent, StoreUnavailableError, event_key
from service.stores.opening import open_store
from tests.service.experiments.declared import declaration, running
from tests.service.test_event_log import DAY, NOON
from tests.service.test_event_log import rows as logged_items
from training.log_readers import log_files

OpenStore = Callable[..., SequenceStore]
ARMS = [{"name": "control", "weight": 5000}, {"name": "treatment", "weight": 5000, "options": {"diversity": 0.5}}]
COLUMNS = [
    ("recommendation_id", "VARCHAR"),
    ("experiment", "VARCHAR"),
    ("phase", "INTEGER"),
    ("variant", "VARCHAR"),
    ("tester", "BOOLEAN"),
    ("user_id", "VARCHAR"),
    ("user_group", "VARCHAR"),
    ("stored_events", "INTEGER"),
    ("attributes", "VARCHAR"),
    ("bundle_id", "VARCHAR"),
    ("source", "VARCHAR"),
    ("degraded", "VARCHAR"),
    ("items", "VARCHAR[]"),
    ("scores", "FLOAT[]"),
    ("timestamp", "DOUBLE"),
    ("received", "DOUBLE"),
]


def both() -> Experiments:
    """Two layers; `t` is a tester of one of them."""
    plain = [{"name": "a", "weight": 5000}, {"name": "b", "weight": 5000}]
    blend = declaration(variants=ARMS, testers={"treatment": ["t"]})
    return running(blend, declaration("other", layer="other", variants=plain))


def exposed(user_id: str, received: float, experiments: Experiments = (), **answer: Any) -> bytes:
    """One entry of the buffer."""
    said = {"recommendation_id": f"{user_id}-{received}", "items": [{"item_id": "a", "score": 0.5}], "intents": []}
    answered = json.dumps({**said, "bundle_id": "x-0123456789abcdef", "source": "model", **answer}).encode()
    assigned = Assignments(experiments or running(declaration())).assign(user_id)
    about = {"user_group": "new", "stored_events": 1, "attributes": {}, "timestamp": received, "received": received}
    return entry(answered, assigned, user_id=user_id, **about)  # type: ignore[arg-type]


def rows(directory: Path, columns: str = "user_id") -> list[Any]:
    """What the exposure files hold, in order of receipt."""
    if not list(directory.glob("exposures/*/*/*.parquet")):
        return []
    source = f"read_parquet('{directory}/exposures/*/*/*.parquet', hive_partitioning = false)"
    found = duckdb.execute(f"SELECT {columns} FROM {source} ORDER BY received, experiment").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("intently_exposures_dropped_total", {"reason": reason}) or 0.0


def test_a_row_is_what_was_shown(tmp_path: Path) -> None:
    """A row an experiment, under its name and the day; whatever else the answer says is left out."""
    files = EventFiles(tmp_path)
    assigned = Assignments(both()).assign("t")
    answer = (
        b'{"recommendation_id":"r1","items":[{"item_id":"b \\u00fc\\n","score":1.5,"title":"T"},'
        b'{"item_id":"a","score":-0.25,"reason":{"intent_id":1,"because":[]}}],"intents":[{"intent_id":0,"weight":0.5}],'
        b'"bundle_id":"x-0123456789abcdef","source":"popular","unknown_items":["z"],"available":2}'
    )
    line = entry(
        answer, assigned, user_id="t", user_group="low", stored_events=7, attributes={"country": "日本", "n": [1, {}]},
        timestamp=NOON - 60, received=NOON,
    )  # fmt: skip
    assert files.add_exposures([line, exposed("u", NOON + DAY)], "1-2") == 3
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")) == [
        "exposures/experiment=blend/day=2026-01-01/1-2.parquet",
        "exposures/experiment=blend/day=2026-01-02/1-2.parquet",
        "exposures/experiment=other/day=2026-01-01/1-2.parquet",
    ]
    source = f"read_parquet('{tmp_path}/exposures/*/*/*.parquet', hive_partitioning = false)"
    assert [row[:2] for row in duckdb.execute(f"DESCRIBE FROM {source}").fetchall()] == COLUMNS
    [other] = [row for row in rows(tmp_path, "*") if row[1] == "other"]
    blend = rows(tmp_path, "*")[0]
    assert (blend[:5], other[1:5]) == (("r1", "blend", 1, "treatment", True), ("other", 1, assigned[1].variant, False))
    assert blend[5:9] == ("t", "low", 7, '{"country":"日本","n":[1,{}]}')
    assert blend[9:] == (
        "x-0123456789abcdef", "popular", None, ["b ü\n", "a"], [1.5, -0.25], NOON - 60, NOON,
    )  # fmt: skip
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('{"user_id": "u\\u0000x", "attributes": {"n": 1' + "0" * 30 + "}}", ("u\0x", "{}")),
        ('{"user_id": "q\\u2028\\n", "attributes": {"x": NaN, "y": 1e400}}', ("q\u2028\n", '{"x":null,"y":null}')),
        ('{"user_id": "d", "attributes": ' + '{"a":' * 150 + "1" + "}" * 151, ("d", '{"a":' * 150 + "1" + "}" * 150)),
    ],
    ids=["31 digits", "no numbers", "150 deep"],
)
def test_whatever_a_request_holds_can_be_written(tmp_path: Path, body: str, kept: tuple[str, str]) -> None:
    """Else its whole batch would fail, or the writer at one line for ever."""
    request = RecommendationRequest.model_validate_json(body)
    user_id, attributes = request.user_id or "", request.attributes
    line = entry(
        b'{"recommendation_id":"r","items":[]}', Assignments(running(declaration())).assign(user_id), user_id=user_id,
        user_group="new", stored_events=1, attributes=attributes, timestamp=NOON, received=NOON,
    )  # fmt: skip
    assert EventFiles(tmp_path).add_exposures([line], "1") == 1
    assert rows(tmp_path, "user_id, attributes") == [kept]


def test_erasure_and_retention_are_those_of_events(tmp_path: Path) -> None:
    """What was received until the erasure goes, of events and exposures; so do days."""
    files = EventFiles(tmp_path)
    files.add([LoggedEvent("e", "u", "a", "click", 5.25, None, None, NOON)], "1")
    files.add_exposures([exposed(user, NOON + at) for at, user in enumerate("uvu")], "1")
    assert files.erase([Erasure("u", NOON + 1)]) == 2
    assert (logged_items(tmp_path), rows(tmp_path)) == ([], ["v", "u"])
    files.add_exposures([exposed("w", NOON + 3 * DAY)], "2")
    assert files.keep(2, date(2026, 1, 4)) == ["day=2026-01-01", "exposures/experiment=blend/day=2026-01-01"]
    assert rows(tmp_path) == ["w"]


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """What a killed writer leaves may name users who are erased since."""
    files = EventFiles(tmp_path)
    files.add([LoggedEvent("e", "u", "a", "click", 5.25, None, None, NOON)], "1")
    files.add_exposures([exposed("u", NOON)], "1")
    folders = ["", "day=2026-01-01", "exposures/experiment=blend/day=2026-01-01"]
    for folder, name in zip(folders, ("9.jsonl", "9.jsonl", "9.parquet"), strict=True):
        (tmp_path / folder / f".writing-{name}").write_text("half")
    assert (files.tidy(), files.tidy()) == (3, 0)
    assert (logged_items(tmp_path), rows(tmp_path)) == (["ua"], ["u"])


async def test_what_was_shown_is_no_interaction(tmp_path: Path, opened: OpenStore) -> None:
    """Training and `intently-serve load` read the events beside it."""
    files = EventFiles(tmp_path / "log")
    files.add([LoggedEvent("e", "u", "a", "click", 5.25, None, None, NOON)], "1")
    files.add_exposures([exposed("u", NOON)], "1")
    [event_file] = log_files(tmp_path / "log")
    assert event_file.parent.name == "day=2026-01-01"
    store = opened(f"sqlite:///{tmp_path}/loaded.sqlite3")
    done = await load(tmp_path / "log", store, stored_events=10, types=frozenset({"click"}), progress=lambda _: None)
    assert (done.events, done.rejected) == (1, 0)


@pytest.fixture
async def recommending(tiny_bundle: Path, store: SequenceStore) -> Recommending:
    """Two experiments are running."""
    registry = Registry(tiny_bundle)
    await registry.refresh()
    exposing = Exposing(store, Activity(), kept=True)
    found = Recommending(registry, store, LastIntents(), exposing)
    found.follow(Control(version=1, experiments=both()))
    return found


async def test_whoever_has_an_answer_is_in_the_buffer(
    recommending: Recommending, store: SequenceStore, writer: LogWriter, tmp_path: Path
) -> None:
    """One entry a batch, before the answers leave; the files say what the answers said; raw histories leave none."""
    known = f"{tmp_path.name}-known"
    await store.append([StoredEvent(known, "a", at, event_key(str(at))) for at in range(6)])
    users = [known, *(f"{tmp_path.name}-{number}" for number in range(20)), known, "t"]
    requests = [RecommendationRequest(user_id=user, k=2, attributes={"n": at}) for at, user in enumerate(users)]
    requests[1] = requests[1].model_copy(update={"timestamp": "2026-01-01T12:00:00Z"})
    answers = [
        json.loads(one) for one in await recommending.answer([*requests, RecommendationRequest(history=["a"], k=2)])
    ]
    assert await store.logged_count() == 1
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


async def test_an_answer_does_not_fail_with_its_exposure(
    recommending: Recommending, store: SequenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is behind, the store does not take it, does not answer at all, or there is no log: each is counted."""

    async def refuse(*_: object) -> Any:
        raise StoreUnavailableError("away")

    async def asked() -> str:
        [answer] = await recommending.answer([RecommendationRequest(user_id="t", history=["a"])])
        return str(json.loads(answer)["variant"])

    before = {reason: dropped(reason) for reason in ("full", "store", "no_log")}
    recommending._exposing.full = True
    assert await asked() == "treatment"
    recommending._exposing.full = False
    with monkeypatch.context() as failing:
        failing.setattr(store, "log", refuse)
        assert await asked() == "treatment"
    with monkeypatch.context() as failing:
        failing.setattr(store, "recent_many", refuse)
        assert await asked() == "treatment"
    recommending._exposing._kept = False
    assert await asked() == "treatment"
    assert await store.logged_count() == 0
    after = {reason: dropped(reason) - before[reason] for reason in before}
    assert after == {"full": 2, "store": 4, "no_log": 2}, "two experiments each"


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


async def test_beyond_a_tenth_of_the_buffer_exposures_are_dropped_and_events_are_not(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """With room for 20 posts: after 3 of exposures no more come, until the writer has been there."""
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    store = open_store(url)
    await control_state(store).change(lambda control: control.experimenting(lambda _: both()))
    settings = Settings(bundle=tiny_bundle, store=url, events=tmp_path / "log", events_buffer=20, poll_seconds=0.02)
    before = dropped("full")
    with TestClient(create_app(settings)) as client:
        while dropped("full") == before:
            assert client.post("/v1/recommendations", json={"user_id": "u"}).json()["variant"]
        waiting = await store.logged_count()
        assert waiting >= 3
        client.post("/v1/events", json={"events": [{"user_id": "u", "item_id": "a", "timestamp": 1}]})
        assert await store.logged_count() == waiting + 1
    await store.close()
