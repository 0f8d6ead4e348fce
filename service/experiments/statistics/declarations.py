"""Metrics as a file declares them."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.experiments.statistics.metrics import Direction, Kind, Metric, Role

NAME = r"^[a-z][a-z0-9_]*$"  # columns are derived from them


class MetricDeclaration(BaseModel):
    """One entry of `metrics`; `metric()` is what the statistics take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME)
    kind: Kind
    numerator: str = Field(pattern=NAME)
    denominator: str | None = Field(default=None, pattern=NAME)
    role: Role = "goal"
    better: Direction = "up"
    tolerance: float | None = Field(default=None, gt=0, lt=1, description="relative, of a guardrail")

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        self.metric()
        return self

    def metric(self) -> Metric:
        """The declared metric."""
        return Metric(**self.model_dump())


class MetricsDeclaration(BaseModel):
    """The file: at least one goal, every name once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: tuple[MetricDeclaration, ...]

    @model_validator(mode="after")
    def _can_be_decided_by(self) -> Self:
        names = [metric.name for metric in self.metrics]
        if len(set(names)) != len(names):
            raise ValueError(f"every metric needs a name of its own, found {names}")
        if not any(metric.role == "goal" for metric in self.metrics):
            raise ValueError("at least one metric must be a goal, found guardrails only")
        return self
