"""A few calls of the public port at /console/api, so that the page needs no other origin than its own.

The public port decides who may ask: the caller's key is passed on, and nothing is asked for here.
"""

import httpx2 as httpx
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.errors import BodyTooLargeError, NotReadyError
from service.fields import quoted
from service.routes.paths import INTENT, USER

PREFIX = "/console/api"
PASSED = (
    ("GET", "/health/ready"),
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/intents/lookup"),
    ("POST", "/v1/events"),
    ("GET", "/v1/intents"),
    ("GET", "/v1/intents/map"),
    ("GET", INTENT),
    ("GET", USER),
    ("GET", "/v1/experiments/{name}/report"),
)
ASKED_WITH = ("authorization", "x-api-key", "content-type")
ANSWERED_WITH = ("content-type", "retry-after")
BODY_LIMIT = 1 << 20  # bytes, as on the public port
TIMEOUT = httpx.Timeout(60.0, connect=2.0)  # seconds; a report takes some


def pass_through_router() -> APIRouter:
    """Nothing but what is listed in PASSED."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    for method, path in PASSED:
        router.add_api_route(path, _pass_on, methods=[method])
    return router


def public_port(url: str) -> httpx.AsyncClient:
    """To be closed. A connection a call, since a worker may end between two; no proxy of the environment is asked."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits, trust_env=False)


async def _pass_on(request: Request) -> Response:
    public: httpx.AsyncClient = request.app.state.public
    parts = {name: quoted(str(value)) for name, value in request.path_params.items()}
    path = str(request.scope["route"].path_format).removeprefix(PREFIX).format(**parts)
    headers = {name: value for name in ASKED_WITH if (value := request.headers.get(name)) is not None}
    body = await _body(request)
    try:
        found = await public.request(request.method, path, params=request.url.query, headers=headers, content=body)
    except httpx.TransportError as error:
        raise NotReadyError(f"the public port {public.base_url} does not answer: is a worker running?") from error
    kept = {name: value for name in ANSWERED_WITH if (value := found.headers.get(name)) is not None}
    return Response(found.content, found.status_code, kept)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise BodyTooLargeError(f"the body is larger than {BODY_LIMIT} bytes")
    return body
