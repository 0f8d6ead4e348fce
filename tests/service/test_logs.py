"""What the service says of itself: whole lines, that say whose request they are about and nothing that was sent."""

import asyncio
import io
import json
import logging
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.batching import MicroBatches
from service.bundle.files import open_bundle
from service.engine import Engine
from service.logs import FORMATTERS, WithRequest
from service.request_ids import RequestIds, log_fields, parsed
from service.settings import LogFormat, Settings
from tests.http_calls import call
from tests.service.test_processes import Service, eventually, workers_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
Written = Callable[[LogFormat], io.StringIO]


@pytest.fixture
def written() -> Iterator[Written]:
    """What the service's handler writes, in a format."""
    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(WithRequest())
    logging.getLogger().handlers.insert(0, handler)  # a traceback is kept as the first handler wrote it

    def begin(log_format: LogFormat) -> io.StringIO:
        handler.setFormatter(FORMATTERS[log_format]())
        return handler.stream

    yield begin
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    ("traceparent", "found"),
    [
        (TRACEPARENT, (TRACE, SPAN, "01")),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", (TRACE, SPAN, "01")),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE[1:]}-{SPAN}-01", None),
        ("", None),
    ],
)
def test_a_traceparent_is_what_the_standard_says(traceparent: str, found: tuple[str, ...] | None) -> None:
    """W3C Trace Context, 2.2.2: lower-case hex of fixed length, neither id all zeros, no version ff."""
    parts = parsed(traceparent.encode())
    assert found == (parts and tuple(part.decode() for part in parts))


@pytest.mark.parametrize(
    ("given", "kept"), [("order-4711/a", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("\xe4", False)]
)
def test_a_short_printable_request_id_is_kept_and_another_replaced(client: TestClient, given: str, kept: bool) -> None:
    answer = client.get("/health/live", headers={"x-request-id": given.encode("latin-1")})
    assert (answer.headers["x-request-id"] == given) is kept


def test_every_answer_names_its_request(client: TestClient) -> None:
    """A hot route, a slow one, a refusal; ids of ours differ; a trace is named where the request is part of one."""
    answers = [
        client.post("/v1/recommendations", json={"history": ["a"]}),
        client.get("/v1/users/u"),
        client.post("/v1/recommendations", content=b"{"),
        client.get("/nowhere"),
    ]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4
    assert not any("x-trace-id" in answer.headers for answer in answers)
    traced = client.post("/v1/recommendations", json={"history": ["a"]}, headers={"traceparent": TRACEPARENT})
    assert traced.headers["x-trace-id"] == TRACE
    assert "x-trace-id" not in client.get("/health/live", headers={"traceparent": "nonsense"}).headers


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_fault_is_logged_with_its_request_and_without_what_was_sent(
    log_format: LogFormat, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    """The line says where it happened; the exceptions' messages quote a user here, and are left out."""

    user = "user-42"

    def fail(*_: object) -> None:
        try:
            raise KeyError(user)
        except KeyError as error:
            raise RuntimeError(f"no intent of {user}") from error

    monkeypatch.setattr(Engine, "recommend", fail)
    monkeypatch.setattr(Engine, "load", classmethod(lambda cls, path, **how: cls(open_bundle(path))))
    lines = written(log_format)
    settings = Settings(bundle=tiny_bundle, store=f"sqlite:///{tmp_path}/store.sqlite3")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        headers = {"x-request-id": "r1", "traceparent": TRACEPARENT}
        client.post("/v1/recommendations", json={"user_id": user, "history": ["a"]}, headers=headers)
    said = lines.getvalue()
    assert user not in said
    assert all(word in said for word in ("unexpected error", "in fail", "RuntimeError", "KeyError", "r1", TRACE))
    if log_format == "json":
        [line] = [one for one in map(json.loads, said.splitlines()) if one["message"] == "unexpected error"]
        assert (line["request_id"], line["trace_id"], line["level"], line["logger"]) == (
            "r1",
            TRACE,
            "ERROR",
            "intently",
        )
        assert line["exception"].splitlines()[-1] == "KeyError"


def test_outside_of_requests_an_exception_says_everything(written: Written) -> None:
    lines = written("json")
    try:
        raise OSError(28, "No space left on device")
    except OSError:
        logging.getLogger("intently").exception("the event log cannot be written")
    line = json.loads(lines.getvalue())
    assert "No space left on device" in line["exception"]
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0), "RFC 3339, in UTC"
    assert "request_id" not in line


def test_a_value_cannot_begin_a_line_of_its_own(written: Written) -> None:
    lines = written("text")
    logging.getLogger("intently.audit").warning("admin call", extra={"path": "/admin\n2026-01-01 INFO forged"})
    assert lines.getvalue().endswith('admin call path="/admin\\n2026-01-01 INFO forged"\n')


async def test_a_batch_names_no_request_that_happened_to_wake_it() -> None:
    """It answers many; what each of them waits for is logged by its own task."""
    found = []

    async def answer(requests: Sequence[str]) -> list[str]:
        found.append(log_fields())
        return list(requests)

    async def ask() -> dict[str, str]:
        RequestIds().begin({b"x-request-id": b"first"})
        await MicroBatches(answer, largest=1).ask("a")
        return log_fields()

    assert await asyncio.create_task(ask()) == {"request_id": "first"}
    assert found == [{}]


def test_every_line_of_every_process_is_one_json_object(tiny_bundle: Path, tmp_path: Path) -> None:
    """Two workers and the supervising process; an answer, an admin call, a worker that is killed; no user, no key."""
    service = Service(
        tiny_bundle,
        f"sqlite:///{tmp_path}/store.sqlite3",
        workers=2,
        more=["--log-format", "json", "--access-log"],
    )
    eventually(service.ready)
    wanted = {"x-request-id": "mine", "traceparent": TRACEPARENT}
    with urllib.request.urlopen(urllib.request.Request(f"{service.url}/v1/users/user-42", headers=wanted)) as answer:
        assert (answer.headers["x-request-id"], answer.headers["x-trace-id"]) == ("mine", TRACE)
    call(f"{service.admin}/admin/bundles/newest", {})
    worker, _ = workers_of(service)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{worker}").exists())
    eventually(service.ready)
    code, errors = service.stop()
    assert code == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert all({"timestamp", "level", "logger", "process", "message"} <= line.keys() for line in lines)
    said = {line["message"]: line for line in lines}
    assert f"serving bundle {tiny_bundle.name}" in said
    assert f"worker {worker} ended; 2 serve" in said
    audit = next(line for line in lines if line["logger"] == "intently.audit")
    assert (audit["method"], audit["path"], audit["status"]) == ("POST", "/admin/bundles/newest", 200)
    assert audit["request_id"]
    [access] = [line for line in lines if line.get("request_id") == "mine"]
    assert (access["method"], access["route"], access["status"]) == ("GET", "/v1/users/{user_id}", 200)
    assert access["trace_id"] == TRACE
    assert 0 < access["seconds"] < 5
    assert "user-42" not in errors
