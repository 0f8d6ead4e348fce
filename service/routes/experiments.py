"""Which experiments there are."""

from typing import Annotated

from fastapi import APIRouter, Path

from service.dependencies import WorkerParts
from service.error_answers import documented
from service.errors import UnknownExperimentError
from service.experiments.answers import ExperimentAnswer, ExperimentsAnswer, shown
from service.experiments.lifecycle import find

router = APIRouter(tags=["experiments"])


@router.get("/v1/experiments", response_model_exclude_none=True)
async def experiments(its: WorkerParts) -> ExperimentsAnswer:
    """All that are kept: drafts, running and stopped ones."""
    return ExperimentsAnswer(experiments=[shown(one) for one in its.control.current.experiments])


@router.get("/v1/experiments/{name}", response_model_exclude_none=True, responses=documented(UnknownExperimentError))
async def experiment(name: Annotated[str, Path(max_length=64)], its: WorkerParts) -> ExperimentAnswer:
    """One experiment."""
    return shown(find(its.control.current.experiments, name))
