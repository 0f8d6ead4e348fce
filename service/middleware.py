"""ASGI middleware shared by all routes: a body limit, and a count and a time for every request."""

import time
from collections.abc import MutableMapping
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import error_body
from service.telemetry import DURATION, REQUESTS

BODY_LIMIT = 1 << 20  # bytes


class BodyTooLargeError(Exception):
    """The body went over the limit while it was being read."""


class Guard:
    """Counts every answer under its route template, whatever its status, and refuses bodies over 1 MiB."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        seen: MutableMapping[str, Any] = {"status": 500, "begun": False, "bytes": 0}

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"], seen["begun"] = message["status"], True
            await send(message)

        async def limited_receive() -> Message:
            message = await receive()
            seen["bytes"] += len(message.get("body", b""))
            if seen["bytes"] > BODY_LIMIT:
                raise BodyTooLargeError
            return message

        try:
            if _declared_length(scope) > BODY_LIMIT:
                raise BodyTooLargeError
            await self._app(scope, limited_receive, counted_send)
        except BodyTooLargeError:
            if not seen["begun"]:
                await _refuse(counted_send)
        finally:
            route = _template(scope)
            REQUESTS.labels(route, scope["method"], str(seen["status"])).inc()
            DURATION.labels(route).observe(time.perf_counter() - started)


def _template(scope: Scope) -> str:
    """`/v1/users/{user_id}`, never a raw path."""
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched")).replace(":path}", "}")


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(send: Send) -> None:
    body = orjson.dumps(error_body("body_too_large", f"the body is larger than {BODY_LIMIT} bytes"))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
