"""One training of a ranker as a YAML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.ranker import RankerOptions
from training.config import load_config, typed_options

BUILT_IN = Path(__file__).parent / "configs"


class RankerLoop(BaseModel):
    """How long and how fast to learn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    batch_size: int = Field(default=256, ge=2, description="lists a step")
    learning_rate: float = Field(default=2e-3, gt=0)
    position_rate: float = Field(default=2e-2, gt=0, description="learning rate of the position weights")
    weight_decay: float = Field(default=1e-5, ge=0)
    max_epochs: int = Field(default=20, ge=1)
    patience: int = Field(default=3, ge=1, description="epochs without a smaller loss on the last day before stopping")


class RankerConfig(BaseModel):
    """What to train. Field names are those of the YAML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(default=None, description="of the bundle; default: its parent's name with -ranked")
    candidates: int = Field(default=100, ge=1, le=1000, description="of the first stage's best, ranked anew")
    conversion_value: float = Field(default=1.0, ge=0, description="clicks that a conversion is worth")
    activity_thresholds: list[int] = Field(
        default=[0, 5, 20, 50], min_length=1, description="most stored events of each user group but the last"
    )
    attribution_seconds: float = Field(default=86_400, gt=0, description="in which an outcome counts for its list")
    sequence_event_types: list[str] = Field(
        default=["click", "view", "interaction", "cart", "purchase", "conversion"],
        description="as the service's INTENTLY_SEQUENCE_EVENT_TYPES",
    )
    most_values: int = Field(default=20, ge=0, description="values told apart of each attribute of requests")
    options: dict[str, Any] = {}
    training: RankerLoop = RankerLoop()

    @field_validator("options")
    @classmethod
    def _options_are_of_their_types(cls, options: dict[str, Any]) -> dict[str, Any]:
        return typed_options(options, RankerOptions)

    @model_validator(mode="after")
    def _options_are_known(self) -> Self:
        try:
            self.model_options()
        except TypeError as error:
            raise ValueError(f"options: {error}") from error
        return self

    def model_options(self) -> RankerOptions:
        """The ranker's size."""
        return RankerOptions(**self.options)

    @classmethod
    def load(cls, source: str, *, settings: Sequence[str] = ()) -> Self:
        """Read a YAML file, or a built-in configuration by its name: plain, clusters. Raises ConfigError."""
        return load_config(cls, source, BUILT_IN, settings=settings)
