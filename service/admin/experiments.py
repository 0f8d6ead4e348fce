"""Experiments are declared, started, widened, begun anew, stopped and deleted."""

import asyncio
import logging
import time
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from service.admin.bundles import checked
from service.admin.parts import AdminParts, Its, change
from service.error_answers import documented
from service.errors import BundleRefusedError, ConflictError, StoreDownError, UnknownBundleError, UnknownExperimentError
from service.experiments.declarations import Declaration, Experiment, Weight
from service.experiments.hashing import BUCKETS
from service.experiments.kept import Deleted, ExperimentsKept, HoldOut
from service.experiments.lifecycle import Change, created, deleted, find, ramped, rephased, started, stopped
from service.fields import Number

log = logging.getLogger("intently")
router = APIRouter(prefix="/admin", tags=["experiments"])
Name = Annotated[str, Path(max_length=64)]
Share = Annotated[Number, Field(ge=1 / BUCKETS, le=1, description="of the layer's users")]
DECIDING = documented(UnknownExperimentError, ConflictError, StoreDownError)
STARTING = documented(UnknownExperimentError, UnknownBundleError, BundleRefusedError, ConflictError, StoreDownError)


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class WantedShare(_Wanted):
    """How many of the layer's users can be in the experiment."""

    share: Share


class WantedPhase(_Wanted):
    """What is different in the new phase."""

    share: Share | None = Field(default=None, description="as before, if it is not given")
    weights: dict[str, Weight] = Field(default={}, description="variant -> basis points; as before, if empty")


@router.get("/experiments", response_model_exclude_none=True)
async def experiments(its: Its) -> ExperimentsKept:
    """All experiments and the hold-out."""
    control = await its.control.poll()
    return ExperimentsKept(holdout=control.holdout, experiments=control.experiments)


@router.post("/experiments", response_model_exclude_none=True, responses=documented(ConflictError, StoreDownError))
async def create(declaration: Declaration, its: Its) -> Experiment:
    """A draft: nobody is in it yet."""
    return await _decide(its, declaration.name, "declared", lambda them: created(them, declaration))


@router.get("/experiments/{name}", response_model_exclude_none=True, responses=documented(UnknownExperimentError))
async def experiment(name: Name, its: Its) -> Experiment:
    """One experiment, with salts, buckets and testers."""
    return find((await its.control.poll()).experiments, name)


@router.post("/experiments/{name}/start", response_model_exclude_none=True, responses=STARTING)
async def start(name: Name, wanted: WantedShare, its: Its) -> Experiment:
    """A draft or a stopped one runs, in a new phase, once the bundles of its variants have proven sound."""
    if its.standings is None:
        raise ConflictError("exposures go to the event log, and none is kept: intently-serve run --events DIRECTORY")
    for variant in find((await its.control.poll()).experiments, name).variants:
        if variant.bundle_id is not None:
            await asyncio.to_thread(checked, its.bundles, variant.bundle_id)
    said = f"started with {wanted.share:g}"
    return await _decide(its, name, said, lambda them: started(them, name, wanted.share, time.time()))


@router.post("/experiments/{name}/ramp", response_model_exclude_none=True, responses=DECIDING)
async def ramp(name: Name, wanted: WantedShare, its: Its) -> Experiment:
    """More users, and all who were in it."""
    return await _decide(its, name, f"ramped to {wanted.share:g}", lambda them: ramped(them, name, wanted.share))


@router.post("/experiments/{name}/phase", response_model_exclude_none=True, responses=DECIDING)
async def begin_phase(name: Name, wanted: WantedPhase, its: Its) -> Experiment:
    """Every user draws a variant anew; the share may be smaller, the weights others."""

    def begin(them: tuple[Experiment, ...]) -> tuple[Experiment, ...]:
        return rephased(them, name, wanted.share, wanted.weights, time.time())

    return await _decide(its, name, "begun anew", begin)


@router.post("/experiments/{name}/stop", response_model_exclude_none=True, responses=DECIDING)
async def stop(name: Name, its: Its) -> Experiment:
    """Nobody is in it any more."""
    return await _decide(its, name, "stopped", lambda them: stopped(them, name, time.time()))


@router.delete("/experiments/{name}", responses=DECIDING)
async def delete(name: Name, its: Its) -> Deleted:
    """A draft or a stopped one is forgotten."""
    await change(its.control, lambda control: control.experimenting(lambda them: deleted(them, name)))
    log.info("experiment %s: deleted", name)
    return Deleted(name=name)


@router.post("/holdout", responses=documented(ConflictError, StoreDownError))
async def hold_out(wanted: HoldOut, its: Its) -> HoldOut:
    """That share of the users is in no experiment; it changes only while none runs."""
    decided = await change(its.control, lambda control: control.holding_out(wanted.share))
    log.info("control %d: hold-out %g", decided.version, decided.holdout)
    return HoldOut(share=decided.holdout)


async def _decide(its: AdminParts, name: str, what: str, decide: Change) -> Experiment:
    decided = await change(its.control, lambda control: control.experimenting(decide))
    found = find(decided.experiments, name)
    log.info("control %d: experiment %s %s, %s", decided.version, name, what, _described(found))
    return found


def _described(experiment: Experiment) -> str:
    phase = experiment.phases[-1] if experiment.phases else None
    drawn = f"phase {phase.number}, weights {phase.weights}" if phase else "no phase yet"
    return f"share {experiment.share:g}, {drawn}"
