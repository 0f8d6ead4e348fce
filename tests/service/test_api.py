"""The REST API over the hand-made bundle and a real SQLite store."""

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from prometheus_client import REGISTRY


def post(client: TestClient, path: str, status: int = 200, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def event(item_id: str, timestamp: object, user_id: str = "u", **more: object) -> dict[str, object]:
    return {"user_id": user_id, "item_id": item_id, "timestamp": timestamp, **more}


def test_a_blend_is_refused_where_there_is_nothing_to_blend(client: TestClient) -> None:
    refused = client.post("/v1/recommendations", json={"history": ["a"], "blend": 1.5})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_blend")
    assert client.post("/v1/recommendations", json={"history": ["a"], "blend": 0}).status_code == 200
    batch = post(client, "/v1/recommendations/batch", requests=[{"history": ["a"], "blend": 2}, {"history": ["a"]}])
    assert batch["answers"][0]["error"]["code"] == "no_blend"
    assert batch["answers"][1]["source"] == "model"


def test_variety_and_reasons_over_http(client: TestClient) -> None:
    """One item of each category; each with the intent it serves, an item of the history it is like, and a title."""
    answer = post(client, "/v1/recommendations", history=["a"], k=3, max_per_category=1, reasons=True, titles=True)
    assert answer["available"] == 2
    assert [(item["item_id"], item["title"]) for item in answer["items"]] == [("b", "Title of b"), ("e", "Title of e")]
    assert [item["reason"] for item in answer["items"]] == [{"intent_id": 0, "because": ["a"]}] * 2
    diverse = post(client, "/v1/recommendations", history=["a"], k=2, diversity=1.0, exclude_seen=False)
    assert [item["item_id"] for item in diverse["items"]] == ["a", "d"]


def test_a_raw_history_gets_its_next_items_with_intents_and_titles(client: TestClient, tiny_bundle: Path) -> None:
    answer = post(client, "/v1/recommendations", history=["a", "nonsense"], k=2, intents=1, titles=True)
    assert ids(answer) == ["b", "c"]  # a has been seen
    assert answer["items"][0]["title"] == "Title of b"
    assert answer["source"] == "model"
    assert answer["unknown_items"] == ["nonsense"]
    assert answer["intents"][0]["intent_id"] == 0
    assert answer["bundle_id"] == tiny_bundle.name
    assert "available" not in answer


def test_unknown_users_and_empty_histories_get_the_popular_items(client: TestClient) -> None:
    for body in ({"user_id": "nobody"}, {"history": []}, {"history": ["nonsense"]}):
        answer = post(client, "/v1/recommendations", k=3, **body)
        assert (ids(answer), answer["source"]) == (["a", "b", "c"], "popular")


def test_lists_are_full_or_say_how_many_were_possible(client: TestClient) -> None:
    answer = post(client, "/v1/recommendations", history=["a"], k=5, exclude=["b", "c", "d"])
    assert (ids(answer), answer["available"]) == (["e", "f"], 2)
    answer = post(client, "/v1/recommendations", history=["a"], k=2, allow=["f", "c"], exclude_seen=False)
    assert ids(answer) == ["c", "f"]
    answer = post(client, "/v1/recommendations", user_id="nobody", k=2, exclude=["a"], allow=["a", "d"])
    assert (ids(answer), answer["available"]) == (["d"], 1)


def test_filters_leave_what_meets_them(client: TestClient) -> None:
    """a, b, c are of category x, d, e, f of y; popularity falls from a to f."""
    answer = post(client, "/v1/recommendations", history=["a"], k=5, filters={"category": "y"})
    assert (ids(answer), answer["available"]) == (["e", "d", "f"], 3)
    answer = post(client, "/v1/recommendations", history=["a"], k=2, filters={"category": ["x"]}, allow=["c", "d"])
    assert (ids(answer), answer["available"]) == (["c"], 1)
    answer = post(client, "/v1/recommendations", user_id="nobody", k=2, filters={"category": "y"})
    assert (ids(answer), answer["source"]) == (["d", "e"], "popular")


def test_a_filter_that_no_item_has_is_refused_alone(client: TestClient) -> None:
    refused = post(client, "/v1/recommendations", 409, history=["a"], filters={"colour": "red"})["error"]
    assert (refused["code"], refused["message"]) == (
        "unknown_filter",
        "no item has 'colour'; filters of this bundle: category",
    )
    assert post(client, "/v1/recommendations", 422, history=["a"], filters={"category": {}})["error"]["details"]
    requests = [{"history": ["a"], "filters": {"colour": 1}}, {"history": ["a"], "k": 1, "filters": {"category": "y"}}]
    first, second = post(client, "/v1/recommendations/batch", requests=requests)["answers"]
    assert (first["error"]["code"], ids(second)) == ("unknown_filter", ["e"])


def test_an_event_changes_the_next_answer(client: TestClient) -> None:
    assert post(client, "/v1/events", events=[event("d", 1)])["results"] == [
        {"status": "accepted", "known": True, "stored": True}
    ]
    answer = client.get("/v1/users/u/recommendations?k=2").json()
    assert (ids(answer), answer["source"]) == (["e", "f"], "model")
    assert client.get("/v1/users/u/intents?top=1").json()["intents"][0]["intent_id"] == 1
    with_history = post(client, "/v1/recommendations", user_id="u", history=["a"], k=6)
    assert ids(with_history) == ["b", "c", "e", "f"], "history is the input; what is stored counts as seen"


def test_every_event_gets_its_own_status_and_the_good_ones_are_kept(client: TestClient) -> None:
    events = [
        event("a", "2026-01-01T00:00:00Z", event_id="one"),
        event("a", "2026-01-01T00:00:00Z", event_id="one"),
        event("unheard-of", 1767225601),
        event("b", 9e9),
        event("c", "yesterday"),
        event("c", "2026-01-01T00:00:00"),
        event("", 5),
        event("b", 1767225602, type="impression"),
    ]
    results = post(client, "/v1/events", events=events)["results"]
    assert [result["status"] for result in results] == [
        "accepted",
        "duplicate",
        "accepted",
        "future",
        "invalid",
        "invalid",
        "invalid",
        "accepted",
    ]
    assert (results[2]["known"], results[7]["stored"]) == (False, False)
    assert "no offset" in results[5]["reason"]
    stored = client.get("/v1/users/u").json()["interactions"]
    assert [one["item_id"] for one in stored] == ["a", "unheard-of"]
    assert stored[0]["timestamp"] == "2026-01-01T00:00:00+00:00"


def test_a_user_can_be_erased(client: TestClient) -> None:
    post(client, "/v1/events", events=[event("a", 1, user_id="x/y é\n")])
    path = "/v1/users/x/y%20%C3%A9%0A"
    assert len(client.get(path).json()["interactions"]) == 1
    assert client.delete(path).json() == {"user_id": "x/y é\n", "erased": True}
    assert client.get(path).json()["interactions"] == []
    assert client.delete(path).json()["erased"] is False


def test_a_batch_answers_the_good_requests(client: TestClient) -> None:
    requests = [{"history": ["a"], "k": 1}, {"k": 0, "history": []}, {}, {"user_id": "nobody", "k": 1}]
    answers = post(client, "/v1/recommendations/batch", requests=requests)["answers"]
    assert [ids(answers[0]), ids(answers[3])] == [["b"], ["a"]]
    assert [answer["error"]["code"] for answer in answers[1:3]] == ["invalid_request"] * 2


def test_what_is_no_request_does_not_spoil_a_large_batch(client: TestClient) -> None:
    """More than 8 are answered in a thread."""
    requests = [7, None, *({"history": ["a"], "k": 1},) * 20]
    answers = post(client, "/v1/recommendations/batch", requests=requests)["answers"]
    assert ["error" in answer for answer in answers] == [True] * 2 + [False] * 20
    assert {tuple(ids(answer)) for answer in answers[2:]} == {("b",)}
    assert len({answer["recommendation_id"] for answer in answers[2:]}) == 20
    answers = post(client, "/v1/recommendations/batch", requests=[{}])["answers"]
    assert answers[0]["error"]["details"] == [
        {"location": [], "message": "Value error, give user_id, history, or both"}
    ]


def test_intents_can_be_looked_up(client: TestClient, tiny_bundle: Path) -> None:
    listed = client.get("/v1/intents").json()
    assert [intent["size"] for intent in listed["intents"]] == [3, 1]
    one = client.get(f"/v1/intents/1?k=2&bundle_id={tiny_bundle.name}").json()
    assert ids(one) == ["d", "e"]
    assert one["neighbours"][0]["intent_id"] == 0
    found = post(client, "/v1/intents/lookup", history=["d", "f"], top=2)
    assert [intent["intent_id"] for intent in found["intents"]] == [1, 0]
    assert post(client, "/v1/intents/lookup", user_id="nobody")["source"] == "none"


def test_similar_items(client: TestClient) -> None:
    assert ids(client.get("/v1/items/a/similar?k=2").json()) == ["c", "b"]


def test_health_names_the_bundle_and_the_store(client: TestClient, tiny_bundle: Path) -> None:
    assert client.get("/health/ready").json() == {
        "status": "ready",
        "bundle_id": tiny_bundle.name,
        "store": "ok",
        "control_version": 0,
    }


def test_every_route_s_series_exist_before_its_first_request(client: TestClient) -> None:
    for route in ("/v1/recommendations", "/v1/events", "/v1/recommendations/batch"):
        for status in ("200", "422", "500", "503"):
            labels = {"route": route, "method": "POST", "status": status}
            assert REGISTRY.get_sample_value("intently_requests_total", labels) is not None, labels
    labels = {"route": "/v1/users/{user_id}", "method": "DELETE", "status": "200"}
    assert REGISTRY.get_sample_value("intently_requests_total", labels) is not None


def test_the_document_describes_errors_and_elements_as_they_are(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert len(document["paths"]) == 16
    for operations in document["paths"].values():
        for operation in operations.values():
            refusals = {status: told for status, told in operation["responses"].items() if status != "200"}
            assert {"401", "403", "413", "422", "429", "500"} <= set(refusals)
            for told in refusals.values():
                assert told["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}
    asked = document["paths"]["/v1/recommendations"]["post"]["responses"]
    assert {status: asked[status]["description"] for status in ("404", "409", "503")} == {
        "404": "unknown_bundle",
        "409": "unknown_filter, no_blend, bad_timestamp",
        "503": "not_ready, overloaded",
    }
    schemas = document["components"]["schemas"]
    event, anything = schemas["EventsRequest"]["properties"]["events"]["items"]["anyOf"]
    assert (event, anything) == ({"$ref": "#/components/schemas/Event"}, {}), "any other is answered as invalid"
    assert schemas["Event"]["required"] == ["user_id", "item_id", "timestamp"]
