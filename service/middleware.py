"""What stands before the application: ids, keys, a body limit, a count and a time of every request, the fast routes."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from service.error_answers import error_answer
from service.errors import BodyTooLargeError, ServiceError
from service.request_ids import LENGTH, RequestIds, read_headers
from service.routes.fast import FastRoute
from service.security.access import Access
from service.security.origin import HARDENING
from service.telemetry import answered

access_log = logging.getLogger("intently.access")
BODY_LIMIT = 1 << 20  # bytes
TOO_LARGE = f"the body is larger than {BODY_LIMIT} bytes"


class Guard:
    """Counts every answer under its route template, whatever its status; asks for keys, refuses bodies over 1 MiB.

    It is the outermost layer and asks the fast routes itself: the way through FastAPI costs as much as an encoding.
    """

    def __init__(self, app: FastAPI, fast: Iterable[FastRoute], access: Access, *, logged: bool = False) -> None:
        """`logged`: every answer leaves a line."""
        self._app = app
        self._access = access
        self._logged = logged
        self._ids = RequestIds()
        self._fast = {("POST", route.path): route for route in fast}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = read_headers(scope["headers"])
        ids = self._ids.begin(headers)
        status = 500

        async def counted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *HARDENING, *ids]}
            await send(message)

        try:
            self._access.check(scope)
            body = await _limited(scope, receive, headers)
            if (fast := self._fast.get((scope["method"], scope["path"]))) is not None:
                scope["app"], scope["route"] = self._app, fast
                await fast.answer(scope, body, counted_send)
            else:
                await self._app(scope, body, counted_send)
        except ServiceError as error:  # refused here
            await error_answer(error)(scope, receive, counted_send)
        finally:
            self._note(scope["method"], template(scope), status, time.perf_counter() - started)

    def _note(self, method: str, route: str, status: int, seconds: float) -> None:
        requests, durations = answered(route, method, status)
        requests.inc()
        durations.observe(seconds)
        if self._logged:
            said = {"method": method, "route": route, "status": status, "seconds": round(seconds, 6)}
            access_log.info("answered", extra=said)


async def _limited(scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]) -> Receive:
    """`receive` for a body whose length is declared, which the server enforces; else the body, read to its end."""
    declared = headers.get(LENGTH, b"")
    if declared.isdigit() and int(declared) > BODY_LIMIT:
        raise BodyTooLargeError(TOO_LARGE)
    if declared.isdigit() or scope["method"] in ("GET", "HEAD"):
        return receive
    read: deque[Message] = deque()
    size, more = 0, True
    while more:
        read.append(await receive())
        size += len(read[-1].get("body", b""))
        more = read[-1].get("more_body", False)
        if size > BODY_LIMIT:
            raise BodyTooLargeError(TOO_LARGE)

    async def replay() -> Message:
        return read.popleft() if read else await receive()

    return replay


def template(scope: Scope) -> str:
    """`/v1/users/{user_id}`, never a raw path."""
    return str(getattr(scope.get("route"), "path_format", "unmatched"))
