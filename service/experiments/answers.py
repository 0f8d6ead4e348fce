"""Experiments as anybody may see them: no salts, no lists of testers."""

from pydantic import BaseModel, Field

from service.experiments.declarations import Experiment, State, Targeting, Variant
from service.experiments.statistics.declarations import MetricDeclaration


class PhaseAnswer(BaseModel):
    """A time during which every user keeps a variant. Times are Unix seconds."""

    number: int
    weights: tuple[int, ...] = Field(description="basis points, in the order of the variants")
    started: float
    ends: float = Field(description="as planned")
    ended: float | None = None


class ExperimentAnswer(BaseModel):
    """What was declared and what was decided. The first variant is the control."""

    name: str
    description: str
    layer: str
    state: State
    share: float = Field(description="of the layer's users")
    variants: tuple[Variant, ...]
    targeting: Targeting
    days: int
    metrics: tuple[MetricDeclaration, ...]
    alpha: float
    attribution_seconds: float
    lookback_days: int
    phases: tuple[PhaseAnswer, ...]


class ExperimentsAnswer(BaseModel):
    """All of them, in the order in which they were declared."""

    experiments: list[ExperimentAnswer]


def shown(experiment: Experiment) -> ExperimentAnswer:
    """Without what is nobody's business."""
    return ExperimentAnswer.model_validate({**experiment.model_dump(), "share": experiment.share})
