"""One training run as a YAML file."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from models.encoder import EncoderOptions
from models.methods.base import METHODS, NextItemLoss, Objective
from models.proposals import Negatives
from training.intent_gate import IntentGate

BUILT_IN = Path(__file__).parent / "configs"
Config = TypeVar("Config", bound=BaseModel)


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the file and the field."""


class LoopOptions(BaseModel):
    """How long and how fast to learn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    batch_size: int = Field(default=256, ge=2, description="sequences a step")
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    max_epochs: int = Field(default=200, ge=1)
    patience: int = Field(
        default=10,
        ge=1,
        description="epochs without a better validation NDCG@20 before stopping, asked at each validation",
    )
    item_start: Literal["random", "cooccurrence"] = Field(
        default="random", description="item vectors before the first epoch: N(0, .02), or factors of the co-occurrence"
    )
    precision: Literal["auto", "float32"] = Field(
        default="auto", description="of the products of a step: auto is bfloat16 where the device multiplies it"
    )
    evaluate_every: int = Field(default=1, ge=1, description="epochs between validations")
    evaluated_users: int | None = Field(
        default=None, ge=1, description="rank for so many users of a split, evenly spaced; default: for all"
    )
    select_by: Literal["NDCG@20", "sampled100/NDCG@10"] = Field(
        default="NDCG@20", description="validation metric of the best epoch: full ranking, or the legacy protocol's"
    )
    noise: float = Field(default=0.0, ge=0, le=1, description="share of training items replaced by uniform random ones")


class TrainingConfig(BaseModel):
    """What to train. Field names are those of the YAML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(default=None, description="of the bundle; default: method-dataset")
    method: str
    next_item_loss: NextItemLoss = "ce"
    negatives: Negatives = Field(default=Negatives(), description="of a sampled softmax: how many, and from where")
    shared_next_item_weight: float = Field(
        default=0.0, ge=0, description="of the contrast between histories that led to the same next item"
    )
    new_items: Literal["untouched", "neighbours"] = Field(
        default="untouched",
        description="vectors of items that training did not see: as they are, or of the items described like them",
    )
    flavour: Literal["default", "paper"] = "default"
    encoder: EncoderOptions = EncoderOptions()
    options: dict[str, Any] = {}
    training: LoopOptions = LoopOptions()
    intent_gate: IntentGate = IntentGate()

    @field_validator("options")
    @classmethod
    def _options_are_of_their_types(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        method = METHODS.get(info.data.get("method", ""))
        return options if method is None else typed_options(options, method.Options)

    @property
    def objective(self) -> Objective:
        """What the method learns beside its intents."""
        return Objective(self.next_item_loss, self.shared_next_item_weight, negatives=self.negatives)

    def complete(self) -> dict[str, Any]:
        """Every value as JSON has it, with the options that the file leaves to the method."""
        options = asdict(METHODS[self.method].Options(**self.options))
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
        return self.model_dump(mode="json") | {"options": listed}

    @classmethod
    def load(cls, source: str, *, dataset: str | None = None, settings: Sequence[str] = ()) -> Self:
        """Read a YAML file, or a built-in configuration by its name. Raises ConfigError.

        The file's block `datasets` holds what differs for a dataset, by its name; `settings` such as
        "options.num_intents=64" come last.
        """
        return load_config(cls, source, BUILT_IN, dataset=dataset, settings=settings)


def typed_options(options: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    """The options of a dataclass, a text such as YAML's 1e-2 as the number that is wanted. Raises ValueError.

    Values of the right type stay as they are written, and names that the dataclass lacks are not its matter.
    """
    wanted = get_type_hints(kind)
    return {name: _typed(name, value, wanted[name]) if name in wanted else value for name, value in options.items()}


def _typed(name: str, value: Any, wanted: Any) -> Any:
    try:
        found = TypeAdapter(wanted).validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{name}: {error.errors()[0]['msg']}, got {value!r}") from error
    return value if _as_json(found) == value else found


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def load_config(
    model: type[Config], source: str, built_in: Path, *, dataset: str | None = None, settings: Sequence[str] = ()
) -> Config:
    """A YAML file, or one of a folder by its name, as TrainingConfig.load reads it. Raises ConfigError."""
    path = Path(source)
    if not path.is_file():
        path = built_in / f"{source}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(str(one.relative_to(built_in).with_suffix("")) for one in built_in.rglob("*.yaml")))
        raise ConfigError(f"{source} is neither a file nor a built-in configuration ({known})")
    try:
        content = yaml.safe_load(path.read_text())
        by_dataset = content.pop("datasets", {}) if isinstance(content, dict) else {}
        content = _merged(content, by_dataset.get(dataset, {}))
        for setting in settings:
            content = _merged(content, _nested(setting))
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(map(_in_words, error.errors()))}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}") from error


def _in_words(error: ErrorDetails) -> str:
    """Where, what was wanted, and what was found."""
    where = ".".join(str(part) for part in error["loc"])
    found = "" if error["type"] == "value_error" or isinstance(error["input"], dict) else f", got {error['input']!r}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}{found}"


def _merged(below: Any, above: Any) -> Any:
    """Nested mappings, the second on top."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {name: _merged(below.get(name), value) for name, value in above.items()}


def _nested(setting: str) -> dict[str, Any]:
    """ "a.b=1" -> {"a": {"b": 1}}; the value is YAML."""
    name, equals, value = setting.partition("=")
    if not (name and equals):
        raise ConfigError(f"a setting is NAME=VALUE, such as options.num_intents=64, got {setting!r}")
    nested: Any = yaml.safe_load(value)
    for part in reversed(name.split(".")):
        nested = {part: nested}
    found: dict[str, Any] = nested
    return found
