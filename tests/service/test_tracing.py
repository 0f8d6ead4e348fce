"""Traces as a collector receives them: the real service, the real SDK, OTLP over HTTP."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.http_calls import call, free_port
from tests.service.test_processes import Service, eventually

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STAGES = ["queue", "store", "encode", "search", "answer"]


class Collector(ThreadingHTTPServer):
    """Keeps every span that is sent to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiving)
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def receive(self, request: ExportTraceServiceRequest) -> None:
        for its in request.resource_spans:
            self.services |= {one.value.string_value for one in its.resource.attributes if one.key == "service.name"}
            self.spans += [span for scope in its.scope_spans for span in scope.spans]

    def children(self, span: Span) -> list[Span]:
        inside = [one for one in self.spans if one.parent_span_id == span.span_id]
        return sorted(inside, key=lambda one: one.start_time_unix_nano)


class Receiving(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces"
        self.server.receive(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    yield collector
    collector.shutdown()
    thread.join()
    collector.server_close()


@pytest.fixture
def service(
    collector: Collector, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3", more=["--traces", "--log-format", "json"])
    try:
        eventually(service.ready)
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_request_is_a_span_of_the_caller_s_trace_with_its_stages_inside(
    service: Service, collector: Collector
) -> None:
    """What is not sent yet when the service is stopped is sent then; probes are no requests; no user is named."""
    headers = {"content-type": "application/json", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    body = json.dumps({"user_id": "user-42", "history": ["a"]}).encode()
    request = urllib.request.Request(f"{service.url}/v1/recommendations", body, headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["x-trace-id"] == TRACE
    with urllib.request.urlopen(f"{service.url}/v1/users/user-42/recommendations") as answer:
        own = answer.headers["x-trace-id"]
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        call(f"{service.url}/v1/items/nonsense/similar")
    refused.value.close()
    assert service.stop()[0] == 0
    assert collector.services == {"intently"}
    [hot] = [span for span in collector.spans if span.name == "POST /v1/recommendations"]
    assert (hot.trace_id.hex(), hot.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(hot) == {
        "http.request.method": "POST", "http.route": "/v1/recommendations", "http.response.status_code": 200,
    }  # fmt: skip
    inside = collector.children(hot)
    assert [span.name for span in inside] == STAGES
    assert all(span.trace_id == hot.trace_id for span in inside)
    moments = [hot.start_time_unix_nano]
    for span in inside:
        moments += [span.start_time_unix_nano, span.end_time_unix_nano]
    assert moments == sorted(moments), "one after the other, none before the request"
    assert inside[-1].end_time_unix_nano <= hot.end_time_unix_nano
    [slow] = [span for span in collector.spans if span.name == "GET /v1/users/{user_id}/recommendations"]
    assert (slow.trace_id.hex(), slow.parent_span_id) == (own, b"")
    assert [span.name for span in collector.children(slow)] == ["queue", "store", "answer"], "popular items"
    [unknown] = [span for span in collector.spans if span.name == "GET /v1/items/{item_id}/similar"]
    assert attributes(unknown)["http.response.status_code"] == 404
    assert len([span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]) == 3
    assert "user-42" not in str(collector.spans)


def test_a_trace_that_its_caller_does_not_sample_is_not_sent(service: Service, collector: Collector) -> None:
    """The sampler is the SDK's default, parentbased_always_on; log lines and the answer name the trace all the same."""
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    request = urllib.request.Request(f"{service.url}/v1/users/u/recommendations", headers=headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["x-trace-id"] == TRACE
    assert service.stop()[0] == 0
    assert collector.spans == []


def test_a_collector_that_is_away_costs_no_answer_and_does_not_hold_up_the_end(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    service = Service(tiny_bundle, f"sqlite:///{tmp_path}/store.sqlite3", more=["--traces"])
    eventually(service.ready)
    assert call(f"{service.url}/v1/recommendations", {"history": ["a"]})["source"] == "model"
    assert service.stop()[0] == 0, "within the 20 s that `stop` waits"


@pytest.fixture
def without_the_extra(tmp_path: Path) -> Path:
    """What makes the SDK impossible to import in every process of a service."""
    barred = "import sys\nsys.modules.update({'opentelemetry.sdk': None, 'opentelemetry.exporter': None})\n"
    (tmp_path / "sitecustomize.py").write_text(barred)
    return tmp_path


def test_traces_without_the_extra_are_refused_with_its_name(tiny_bundle: Path, without_the_extra: Path) -> None:
    store = f"sqlite:///{without_the_extra}/store.sqlite3"
    ended = Service(tiny_bundle, store, startup=without_the_extra, more=["--traces"]).process
    _, said = ended.communicate(timeout=20)
    assert ended.returncode == 1
    assert said == "error: traces need the extra otel: pip install 'intently[service,cpu,otel]' (or gpu)\n"


def test_nothing_of_it_is_imported_when_it_is_off(tiny_bundle: Path, without_the_extra: Path) -> None:
    service = Service(tiny_bundle, f"sqlite:///{without_the_extra}/store.sqlite3", startup=without_the_extra)
    eventually(service.ready)
    assert call(f"{service.url}/v1/recommendations", {"history": ["a"]})["source"] == "model"
    code, errors = service.stop()
    assert code == 0, errors
