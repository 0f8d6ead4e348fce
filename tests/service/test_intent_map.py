"""The map of intents and users: by arithmetic, and over the API with a real store."""

from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.intent_map import plane_of, some_histories
from service.settings import Settings
from service.stores.base import SequenceStore, StoredEvent, StoreUnavailableError, event_key
from tests.service.test_api import event, post


def test_the_plane_is_where_directions_differ_most() -> None:
    """A rectangle of unit vectors: twice as far along the first axis, so x shows 4/5 of the variance."""
    corners = np.array([[2, 1, 7], [2, -1, 7], [-2, 1, 7], [-2, -1, 7]], dtype=np.float32)
    plane = plane_of(corners * np.array([[1], [2], [3], [4]], dtype=np.float32))  # lengths do not count
    assert plane.explained == [0.8, 0.2]
    assert np.abs(plane.coordinates).max(axis=0) == pytest.approx([2 / 5**0.5, 1 / 5**0.5], abs=1e-6)
    assert np.linalg.norm(plane.coordinates, axis=1) == pytest.approx(np.ones(4), abs=1e-6)


@pytest.mark.parametrize("prototypes", [np.ones((1, 2)), np.zeros((3, 4)), np.ones((2, 1))])
def test_intents_that_do_not_differ_lie_in_the_middle(prototypes: np.ndarray) -> None:
    plane = plane_of(prototypes.astype(np.float32))
    assert plane.coordinates.tolist() == [[0, 0]] * len(prototypes)
    assert plane.explained == [0, 0]


async def test_users_are_taken_as_the_store_finds_them(store: SequenceStore) -> None:
    """Whole sequences, oldest first, and no more users than asked for; every store."""
    events = [
        StoredEvent(f"map-{user}", item, at, event_key(f"{user}{item}"))
        for user in "12"
        for at, item in enumerate("ab")
    ]
    await store.append(events)
    everybody = await some_histories(store, 1000)
    assert everybody.count(["a", "b"]) >= 2
    assert len(await some_histories(store, 1)) == 1
    assert await some_histories(store, 0) == []


def test_a_user_lies_at_the_mean_of_the_intents_by_their_weights(client: TestClient) -> None:
    """Two prototypes, at x = 1 and -1: who has the weights w and 1 - w lies at w - (1 - w), or the other way round."""
    post(client, "/v1/events", events=[{**event("a", 1), "user_id": "u"}, {**event("zzz", 1), "user_id": "unknown"}])
    [weight, other] = post(client, "/v1/intents/lookup", history=["a"], top=2)["intents"]
    found = client.get("/v1/intents/map").json()
    places = {one["intent_id"]: one["x"] for one in found["intents"]}
    assert sorted(places.values()) == [-1, 1]
    assert found["explained"] == [1, 0]
    [user] = found["users"]
    expected = weight["weight"] * places[weight["intent_id"]] + other["weight"] * places[other["intent_id"]]
    assert user == {"intent_id": weight["intent_id"], "x": pytest.approx(expected, abs=1e-4), "y": 0}
    assert "u" not in found, "no ids"
    assert client.get("/v1/intents/map?users=0").json()["users"] == []
    assert client.get("/v1/intents/map?users=1001").status_code == 422


def test_without_the_store_there_are_intents_and_no_users(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    with TestClient(create_app(settings)) as client:

        def away() -> None:
            raise StoreUnavailableError("away")

        monkeypatch.setattr(client.app._app.state.parts.maps._store, "everything", away)  # type: ignore[attr-defined]
        found = client.get("/v1/intents/map").json()
    assert (len(found["intents"]), found["users"], found["degraded"]) == (2, [], "store_unavailable")
