"""What all workers counted, as Prometheus reads it."""

import asyncio
from collections.abc import Collection, Iterator

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import PlainTextResponse, Response

from service.admin.parts import Its

router = APIRouter()
LABEL = "experiment"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, its: Its) -> Response:
    """Of all workers and of the supervisor."""
    decided = await its.control.poll()
    running = {one.name for one in decided.experiments if one.state == "running"}
    found = await asyncio.to_thread(_written, request.app.state.metrics_directory, running)
    return Response(found, media_type=CONTENT_TYPE_LATEST)


def _written(directory: str, running: Collection[str]) -> bytes:
    return generate_latest(_OfRunning(directory, running))


class _OfRunning:
    """The workers' files cannot forget a series, so those of experiments that have ended are left out here."""

    def __init__(self, directory: str, running: Collection[str]) -> None:
        self._found = MultiProcessCollector(None, path=directory)  # type: ignore[no-untyped-call]
        self._running = running

    def collect(self) -> Iterator[Metric]:
        for family in self._found.collect():  # type: ignore[no-untyped-call]
            family.samples = [
                one for one in family.samples if LABEL not in one.labels or one.labels[LABEL] in self._running
            ]
            yield family
