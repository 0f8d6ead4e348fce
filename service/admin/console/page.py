"""The page at /console: a route for each file there is, read when the service starts."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

ROOT = Path(__file__).parent / "static"
INDEX = "index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
)
HEADERS = {
    "content-security-policy": "; ".join(POLICY),
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def page_router() -> APIRouter:
    """No path of a request is ever looked up among files: what is not a route is a 404."""
    router = APIRouter(prefix="/console", include_in_schema=False)
    for file in sorted(ROOT.iterdir()):
        send = _sender(file)
        for path in ("", "/") if file.name == INDEX else (f"/{file.name}",):
            router.add_api_route(path, send, methods=["GET"])
    return router


def _sender(file: Path) -> Callable[[], Awaitable[Response]]:
    content, media_type = file.read_bytes(), TYPES[file.suffix]

    async def send() -> Response:
        return Response(content, media_type=media_type, headers=HEADERS)

    return send
