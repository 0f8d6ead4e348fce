"""Every call to the admin port leaves a line: who, what, when, with what outcome. Never a key."""

import logging

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from service.error_answers import error_answer
from service.errors import ServiceError
from service.request_ids import RequestIds, read_headers
from service.security.access import Access
from service.security.origin import HARDENING, check_origin

log = logging.getLogger("intently.audit")
AUDITED = "/admin"


class AuditedAccess:
    """The outermost layer of the admin port: checks origin and key, and logs what was asked and how it ended."""

    def __init__(self, app: FastAPI, access: Access) -> None:
        self.app = app
        self._access = access
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        key, status = None, 500
        ids = self._ids.begin(read_headers(scope["headers"]))

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *HARDENING, *ids]}
            await send(message)

        try:
            check_origin(scope, asks_for_keys=self._access.asks)
            self._access.refresh()
            key = self._access.check(scope)
            await self.app(scope, receive, noted_send)
        except ServiceError as error:
            await error_answer(error)(scope, receive, noted_send)
        finally:
            if scope["path"].startswith(AUDITED):
                client = scope["client"][0] if scope.get("client") else None
                said = {"key": key, "client": client, "method": scope["method"], "path": scope["path"]}
                log.info("admin call", extra={**said, "status": status})
