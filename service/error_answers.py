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

from service.errors import (
    BodyTooLargeError,
    ForbiddenError,
    ServiceError,
    TooManyRequestsError,
    UnauthorizedError,
    error_body,
    invalid_body,
)
from service.schemas import ErrorAnswer

log = logging.getLogger("intently")
RETRY_AFTER = {"retry-after": "1"}  # seconds
HEADERS = {401: {"www-authenticate": "Bearer"}, 429: RETRY_AFTER, 503: RETRY_AFTER}
EVERYWHERE = (UnauthorizedError, ForbiddenError, BodyTooLargeError, TooManyRequestsError)


def documented(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of a route that raises these errors, beside what every route may answer."""
    codes = {422: ["invalid_request"], 500: ["internal_error"]}
    raised: tuple[type[ServiceError], ...] = (*EVERYWHERE, *errors)
    for error in raised:
        codes.setdefault(error.status, []).append(error.code)
    return {
        status: {
            "model": ErrorAnswer,
            "description": ", ".join(known),
            "headers": {name: {"schema": {"type": "string"}} for name in HEADERS.get(status, ())},
        }
        for status, known in sorted(codes.items())
    }


def add_error_handlers(app: FastAPI) -> None:
    """Let an application answer its errors."""
    for kind in (ServiceError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _handle)


async def _handle(request: Request, error: Exception) -> Response:
    answer = error_answer(error)
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["allow"] = _allowed(request) or (error.headers or {}).get("Allow", "")
    return answer


def _allowed(request: Request) -> str:
    """All methods of a documented path; Starlette knows only those of one route."""
    path = getattr(request.scope.get("route"), "path_format", None)
    return ", ".join(sorted(request.app.openapi()["paths"].get(path, {}))).upper()


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
        case HTTPException(status_code=400):  # FastAPI could not decode the body
            return _json(422, invalid_body([{"loc": ("body",), "msg": str(error.detail)}]))
        case HTTPException():
            code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
            return _json(error.status_code, error_body(code, str(error.detail)))
    log.exception("unexpected error", exc_info=error)
    return _json(500, error_body("internal_error", "the request failed; the log says why"))


def _json(status: int, body: Any) -> Response:
    return Response(orjson.dumps(body, default=str), status, HEADERS.get(status), "application/json")
