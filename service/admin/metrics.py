"""What all workers counted, how experiments stand and the last training went, as Prometheus reads it."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response

from service.admin.parts import Its
from service.admin.training import LastTraining

router = APIRouter()
LABEL = "experiment"


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, its: Its) -> Response:
    """Of all workers, of the supervisor, and of the newest bundle's training."""
    decided = await its.control.poll()
    running = {one.name for one in decided.experiments if one.state == "running"}
    counted = MultiProcessCollector(None, path=request.app.state.metrics_directory)  # type: ignore[no-untyped-call]
    collectors: list[Collector] = [counted, LastTraining(its.bundles)]
    if its.standings is not None:
        collectors.append(its.standings)
    found = await asyncio.to_thread(generate_latest, _OfRunning(collectors, running))
    return Response(found, media_type=CONTENT_TYPE_LATEST)


class _OfRunning:
    """The workers' files cannot forget a series, so those of experiments that have ended are left out here."""

    def __init__(self, collectors: Iterable[Collector], running: Collection[str]) -> None:
        self._collectors = collectors
        self._running = running

    def collect(self) -> Iterator[Metric]:
        for family in chain.from_iterable(one.collect() for one in self._collectors):
            family.samples = [
                one for one in family.samples if LABEL not in one.labels or one.labels[LABEL] in self._running
            ]
            yield family
