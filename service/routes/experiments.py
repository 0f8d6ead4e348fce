"""Which experiments there are, and how they stand."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from service.dependencies import WorkerParts
from service.error_answers import documented
from service.errors import ConflictError, LogUnreadableError, UnknownExperimentError
from service.experiments.answers import ExperimentAnswer, ExperimentsAnswer, shown
from service.experiments.lifecycle import find
from service.experiments.report.contents import Report
from service.experiments.report.markdown import as_markdown

router = APIRouter(tags=["experiments"])
Name = Annotated[str, Path(max_length=64)]
Format = Annotated[Literal["json", "markdown"], Query(alias="format")]
MARKDOWN = "text/markdown"
REPORTING = documented(UnknownExperimentError, ConflictError, LogUnreadableError)


@router.get("/v1/experiments", response_model_exclude_none=True)
async def experiments(its: WorkerParts) -> ExperimentsAnswer:
    """All that are kept: drafts, running and stopped ones."""
    return ExperimentsAnswer(experiments=[shown(one) for one in its.control.current.experiments])


@router.get("/v1/experiments/{name}", response_model_exclude_none=True, responses=documented(UnknownExperimentError))
async def experiment(name: Name, its: WorkerParts) -> ExperimentAnswer:
    """One experiment."""
    return shown(find(its.control.current.experiments, name))


@router.get(
    "/v1/experiments/{name}/report",
    response_model=Report,
    responses={**REPORTING, 200: {"content": {MARKDOWN: {"schema": {"type": "string"}}}}},
)
async def experiment_report(name: Name, its: WorkerParts, as_format: Format = "json") -> Response:
    """The present phase as it stood some seconds ago, at most: what the variants did, and what to make of it."""
    report = await its.reports.of(find(its.control.current.experiments, name))
    if as_format == "markdown":
        return Response(as_markdown(report), media_type=MARKDOWN)
    return Response(report.model_dump_json(), media_type="application/json")
