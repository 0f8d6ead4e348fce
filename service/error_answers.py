"""Every exception becomes an answer of one shape, on both ports."""

import logging
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import ServiceError, error_body, invalid_body

log = logging.getLogger("intently")
RETRY_AFTER = "1"  # seconds, said with every 503


def add_error_handlers(app: FastAPI) -> None:
    """Let an application answer its errors."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def _json(status: int, body: Any) -> Response:
    headers = {"retry-after": RETRY_AFTER} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(orjson.dumps(body, default=str), status, headers, "application/json")


async def _service_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return _json(error.status, error_body(error.code, error.message, error.details))


async def _invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return _json(422, invalid_body(error.errors()))


async def _http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return _json(error.status_code, error_body(code, str(error.detail)))


async def _unexpected(_: Request, error: Exception) -> Response:
    log.exception("unexpected error", exc_info=error)
    return _json(500, error_body("internal_error", "the request failed; the log says why"))
