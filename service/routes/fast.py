"""Routes that are asked thousands of times a second."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from service.error_answers import documented, error_answer
from service.errors import NotJsonError, ServiceError

JSON = (b"content-type", b"application/json")
REFUSAL = b'{"error":{"code":"overloaded","message":"too many requests are waiting","details":null}}'
REFUSED_START = {
    "type": "http.response.start",
    "status": 503,
    "headers": [JSON, (b"content-length", str(len(REFUSAL)).encode()), (b"retry-after", b"1")],
}
REFUSED_BODY = {"type": "http.response.body", "body": REFUSAL}
Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[bytes]])


class FastRoute(APIRoute):
    """A documented route that the guard asks itself, past the layers and the routing of FastAPI.

    The endpoint takes the parsed body, the worker's parts and query parameters of type str, and returns JSON. The
    pydantic model that the OpenAPI document is made from parses the raw body; errors are the application's own.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], *, queued: bool = False, **more: Any) -> None:
        """`queued`: its requests wait in line.

        Raises TypeError unless the endpoint's first parameter is a pydantic model.
        """
        super().__init__(path, endpoint, **more)
        first, _, *query = inspect.signature(endpoint).parameters.values()
        if not (inspect.isclass(first.annotation) and issubclass(first.annotation, BaseModel)):
            raise TypeError(f"{path}: the first parameter must be the body's pydantic model")
        self._model: type[BaseModel] = first.annotation
        self._query = frozenset(parameter.name for parameter in query)
        self._queued = queued

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request from its body to the answer, whatever goes wrong.

        While too many wait it is refused unread, and not at once: who asks again at once would keep everybody busy.
        """
        if self._queued and (parts := scope["app"].state.parts).batches.full:
            await asyncio.sleep(parts.batches.deadline)
            await send(REFUSED_START)
            await send(REFUSED_BODY)
            return
        try:
            answer = await self._answer(scope, receive)
        except Exception as error:
            await error_answer(error)(scope, receive, send)
            return
        headers = [JSON, (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        _check_type(scope)
        request = self._model.model_validate_json(await _body(receive))
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {}
        chosen = {name: value for name, value in query.items() if name in self._query}
        answer: bytes = await self.endpoint(request, scope["app"].state.parts, **chosen)
        return answer


def fast_post(
    router: APIRouter, path: str, answer: type[BaseModel], *errors: type[ServiceError], queued: bool = False
) -> Callable[[Endpoint], Endpoint]:
    """Decorate the endpoint of a FastRoute; `answer` and `errors` are what the document says it returns and raises."""

    def add(endpoint: Endpoint) -> Endpoint:
        more = {"response_model": answer, "responses": documented(NotJsonError, *errors)}
        router.routes.append(FastRoute(path, endpoint, queued=queued, methods=["POST"], **more))
        return endpoint

    return add


def _check_type(scope: Scope) -> None:
    """A page of another origin cannot send JSON unasked, a form it can. Raises NotJsonError."""
    for name, value in scope["headers"]:
        if name == b"content-type" and value.split(b";", 1)[0].strip().lower() != b"application/json":
            raise NotJsonError(f"wanted a body of content-type application/json, found {value.decode('latin-1')!r}")


async def _body(receive: Receive) -> bytes:
    """The whole body; the guard has seen to its size."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    return body
