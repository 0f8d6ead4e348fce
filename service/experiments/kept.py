"""What the admin port says of experiments, beside an `Experiment` itself."""

from pydantic import BaseModel, ConfigDict, Field

from service.experiments.declarations import Experiment
from service.fields import Number


class ExperimentsKept(BaseModel):
    """All experiments, with salts, buckets and testers."""

    holdout: float
    experiments: tuple[Experiment, ...]


class Deleted(BaseModel):
    """It is no longer there; its exposures stay in their files."""

    name: str


class HoldOut(BaseModel):
    """Share of the users who are in no experiment."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    share: Number = Field(ge=0, lt=1)
