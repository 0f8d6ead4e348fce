"""Every exception becomes an answer of one shape, on both ports."""

import logging
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import ServiceError, error_body, invalid_body

log = logging.getLogger("intently")
RETRY_AFTER = {"retry-after": "1"}  # seconds
HEADERS = {401: {"www-authenticate": "Bearer"}, 429: RETRY_AFTER, 503: RETRY_AFTER}


def add_error_handlers(app: FastAPI) -> None:
    """Let an application answer its errors."""
    for kind in (ServiceError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _handle)


async def _handle(_: Request, error: Exception) -> Response:
    return error_answer(error)


def error_answer(error: Exception) -> Response:
    """The answer to a request that ended in `error`; what was not foreseen is logged and not told."""
    match error:
        case ServiceError():
            return _json(error.status, error_body(error.code, error.message, error.details))
        case RequestValidationError():
            return _json(422, invalid_body(error.errors()))
        case ValidationError():  # of a body that its model parsed
            found = error.errors(include_url=False, include_input=False)
            return _json(422, invalid_body({**one, "loc": ("body", *one["loc"])} for one in found))
        case HTTPException():
            code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
            return _json(error.status_code, error_body(code, str(error.detail)))
    log.exception("unexpected error", exc_info=error)
    return _json(500, error_body("internal_error", "the request failed; the log says why"))


def _json(status: int, body: Any) -> Response:
    return Response(orjson.dumps(body, default=str), status, HEADERS.get(status), "application/json")
