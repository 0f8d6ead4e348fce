"""OpenTelemetry traces, where asked for (extra `otel`): sent to where, and sampled as, OTEL_* variables say."""

import asyncio
import os
import time

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.middleware import template
from service.request_ids import TRACEPARENT, parsed
from service.telemetry import TIMINGS, Timing

UNTRACED = "/health/"
DEFAULTS = {"OTEL_SERVICE_NAME": "intently", "OTEL_EXPORTER_OTLP_TIMEOUT": "2"}  # seconds; it may hold up the end


class Traced:
    """Around an application: a span a request, inside of it one for each stage. Names no user: routes, never paths."""

    def __init__(self, app: ASGIApp) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        self._app = app
        self._provider = TracerProvider(shutdown_on_exit=False)  # `_flushed` does it
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("intently")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            await self._app(scope, receive, self._flushed(send) if scope["type"] == "lifespan" else send)
            return
        status = 500

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        span = self._begun(scope)
        timings: list[Timing] = []
        TIMINGS.set(timings if span.is_recording() else None)
        within = {**scope, "headers": _told(scope, span.get_span_context())}
        try:
            await self._app(within, receive, noted_send)
        finally:
            self._end(span, within, status, timings)

    def _begun(self, scope: Scope) -> Span:
        headers = dict(scope["headers"])
        context = Context()
        if (parent := parsed(headers.get(TRACEPARENT))) is not None:
            trace_id, span_id, flags = (int(part, 16) for part in parent)
            remote = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
            context = set_span_in_context(NonRecordingSpan(remote), context)
        method = scope["method"]
        attributes = {"http.request.method": method}
        return self._tracer.start_span(method, context, kind=SpanKind.SERVER, attributes=attributes)

    def _end(self, span: Span, scope: Scope, status: int, timings: list[Timing]) -> None:
        route = template(scope)
        span.update_name(f"{scope['method']} {route}")
        span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        inside = set_span_in_context(span, Context())
        clock = time.time_ns() - time.perf_counter_ns()
        for stage, started, ended in timings:
            child = self._tracer.start_span(stage, inside, start_time=clock + round(started * 1e9))
            child.end(clock + round(ended * 1e9))
        span.end()

    def _flushed(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                await asyncio.to_thread(self._provider.shutdown)
            await send(message)

        return sending


def _told(scope: Scope, its: SpanContext) -> list[tuple[bytes, bytes]]:
    """The headers as if whoever asks were this span, so that log lines and the answer name its trace."""
    headers = [header for header in scope["headers"] if header[0] != TRACEPARENT]
    return [*headers, (TRACEPARENT, b"00-%032x-%016x-%02x" % (its.trace_id, its.span_id, its.trace_flags))]
