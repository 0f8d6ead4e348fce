"""The Python client against a real server, and against servers that fail."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from service.app import create_app
from service.client import (
    Client,
    ConflictError,
    NotAllowedError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
    UnreachableError,
)
from service.schemas import ErrorAnswer, Event, IntentLookup, RecommendationAnswer, RecommendationRequest
from service.security.keys import add_key
from service.settings import Settings


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The public port in a thread -> its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def settings(tiny_bundle: Path, tmp_path: Path) -> Settings:
    return Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with served(settings) as url, Client(url, timeout=10) as client:
        yield client


def test_recommendations_and_intents_come_typed(client: Client, tiny_bundle: Path) -> None:
    answer = client.recommend(RecommendationRequest(history=["a", "zzz"], k=2, intents=1, titles=True))
    assert [(item.item_id, item.title) for item in answer.items] == [("b", "Title of b"), ("c", "Title of c")]
    assert (answer.source, answer.unknown_items, answer.intents[0].intent_id) == ("model", ["zzz"], 0)
    first, second = client.recommend_batch(
        [RecommendationRequest(history=["d"], k=1), RecommendationRequest(history=["d"], blend=1)]
    )
    assert isinstance(first, RecommendationAnswer)
    assert first.items[0].item_id == "e"
    assert isinstance(second, ErrorAnswer)
    assert second.error.code == "no_blend"
    assert client.look_up_intents(IntentLookup(history=["d"], top=1)).intents[0].intent_id == 1
    assert [intent.size for intent in client.intents().intents] == [3, 1]
    assert [item.item_id for item in client.intent(1, k=2, bundle_id=tiny_bundle.name).items] == ["d", "e"]
    assert [item.item_id for item in client.similar("a", k=2).items] == ["c", "b"]
    assert client.ready().bundle_id == tiny_bundle.name


def test_every_documented_operation_has_a_method(settings: Settings) -> None:
    """But those that another method covers, and the one that tells nothing."""
    covered = {"GET /v1/users/{user_id}/recommendations", "GET /v1/users/{user_id}/intents", "GET /health/live"}
    methods = {name for name in vars(Client) if not name.startswith("_")} - {"close", "call"}
    paths = TestClient(create_app(settings)).get("/openapi.json").json()["paths"].items()
    documented = {f"{method.upper()} {path}" for path, operations in paths for method in operations}
    assert covered < documented
    assert len(methods) == len(documented - covered) == 14


@pytest.mark.parametrize("user_id", ["u", "a/b", "..", ".", "é\n", "%2F", "?k=1#x", "u/intents", "a b+c"])
def test_a_user_of_any_name_is_stored_answered_and_erased(client: Client, user_id: str) -> None:
    results = client.send(
        [Event(user_id=user_id, item_id="d", timestamp=1.5), Event(user_id="v", item_id="a", timestamp=1)]
    )
    assert [(one.status, one.known) for one in results] == [("accepted", True)] * 2
    if not user_id.endswith("/intents"):  # GET takes that for the intents of `u`
        assert [one.item_id for one in client.user(user_id).interactions] == ["d"]
    assert client.recommend(RecommendationRequest(user_id=user_id, k=1)).items[0].item_id == "e"
    assert (client.erase(user_id).erased, client.erase(user_id).erased) == (True, False)
    assert len(client.user("v").interactions) == 1


def test_refusals_carry_what_the_service_said(client: Client) -> None:
    with pytest.raises(NotFoundError, match="404 unknown_item: unknown item_id 'zzz'") as refused:
        client.similar("zzz")
    assert (refused.value.status, refused.value.code) == (404, "unknown_item")
    with pytest.raises(ConflictError, match="no item has 'colour'"):
        client.recommend(RecommendationRequest(history=["a"], filters={"colour": "red"}))
    with pytest.raises(RefusedError, match="422 invalid_request") as refused:
        client.similar("a", k=501)
    assert refused.value.details[0]["location"] == ["query", "k"]


def test_a_key_is_given_once(settings: Settings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    reader, slow = add_key(keys, "reader", ["read"], None), add_key(keys, "slow", ["read"], 1)
    with served(settings.model_copy(update={"keys": keys})) as url:
        with Client(url, key=reader) as client:
            assert client.intents().post_hoc
            with pytest.raises(NotAllowedError, match="403 forbidden"):
                client.erase("u")
        with Client(url) as client, pytest.raises(NotAllowedError, match="401 unauthorized"):
            client.intents()
        with Client(url, key=slow) as client:
            client.intents()
            with pytest.raises(RateLimitedError, match="429 rate_limited"):
                client.intents()


READY = b'{"status":"ready","bundle_id":"x","store":"ok","control_version":0}'
ANSWERED = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(READY), READY)
WAIT = b"HTTP/1.1 503 -\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
PROXY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\nhtml"
BROKEN, SILENT = b"", None


class Failing:
    """A server that does what it is told, one connection after another, and counts them."""

    def __init__(self, *told: bytes | None) -> None:
        self.asked = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, args=(told,), daemon=True).start()

    def _serve(self, told: Sequence[bytes | None]) -> None:
        kept = []
        for said in told:
            connection, _ = self._listening.accept()
            self.asked += 1
            connection.recv(65536)
            if said is None:
                kept.append(connection)
                continue
            connection.sendall(said)
            connection.close()
        self._listening.close()


def test_a_busy_service_is_asked_again_when_it_said(settings: Settings) -> None:
    server = Failing(WAIT, ANSWERED)
    began = time.monotonic()
    with Client(server.url) as client:
        assert client.ready().bundle_id == "x"
    assert time.monotonic() - began >= 1
    assert server.asked == 2


def test_a_broken_connection_is_made_again() -> None:
    server = Failing(BROKEN, BROKEN, ANSWERED)
    with Client(server.url) as client:
        assert client.ready().bundle_id == "x"
    assert server.asked == 3


def test_attempts_and_waiting_have_an_end() -> None:
    with Client(Failing(WAIT).url, retries=0) as client, pytest.raises(UnavailableError, match="503 unknown"):
        client.ready()
    with Client(Failing(BROKEN, BROKEN).url, retries=1) as client, pytest.raises(UnreachableError):
        client.ready()
    silent = Failing(SILENT, SILENT)
    with Client(silent.url, timeout=0.2) as client, pytest.raises(UnreachableError, match="ReadTimeout"):
        client.ready()
    assert silent.asked == 1, "who is too slow is not asked more"
    with Client(Failing(PROXY).url) as client, pytest.raises(RefusedError, match="502 unknown: Bad Gateway"):
        client.ready()
