"""An experiment: what a file declares, and what became of it in the control state."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.experiments.activity import UserGroup
from service.experiments.columns import COLUMNS
from service.experiments.hashing import BUCKETS, HASH_VERSION
from service.experiments.statistics.declarations import MetricDeclaration, MetricsDeclaration
from service.fields import Identifier, K, Number, Scalar, Whole

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]  # directories and salts are named after it
State = Literal["draft", "running", "stopped"]
Fallback = Literal["popular_in_intent", "popular_in_category", "popular"]
Weight = Annotated[Whole, Field(ge=1, le=BUCKETS)]
Buckets = tuple[tuple[int, int], ...]  # ranges, from and up to but not including, ascending
MOST_TESTERS = 1000
DAY_SECONDS = 86_400


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Options(_Declared):
    """What a variant asks of the engine, in place of what the request says."""

    blend: Annotated[Number, Field(ge=0, le=1000)] | None = None
    diversity: Annotated[Number, Field(ge=0, le=1)] | None = None
    max_per_category: K | None = None
    fallback: Annotated[tuple[Fallback, ...], Field(min_length=1, max_length=3)] | None = Field(
        default=None, description="where to look without a known history, the best place first; at last everywhere"
    )

    def given(self) -> dict[str, Any]:
        """The options that are set."""
        return {name: value for name, value in self if value is not None}


class Variant(_Declared):
    """One arm. Without a bundle it gets the active one."""

    name: Name
    weight: Weight = Field(description="basis points of the experiment's users")
    bundle_id: Identifier | None = None
    options: Options = Options()


class Targeting(_Declared):
    """Who can be in the experiment: everybody, unless something is said."""

    user_groups: Annotated[tuple[UserGroup, ...], Field(min_length=1)] | None = None
    attributes: dict[Identifier, Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=100)]] = Field(
        default_factory=dict, max_length=10, description="attribute of the request -> the values that are let in"
    )


class Declaration(_Declared):
    """What is planned, before anybody is exposed. The first variant is the control."""

    name: Name
    description: str = Field(default="", max_length=1000)
    layer: Name = Field(description="experiments of one layer exclude each other, those of two are independent")
    variants: tuple[Variant, ...] = Field(min_length=2, max_length=10)
    testers: dict[Name, tuple[Identifier, ...]] = Field(
        default_factory=dict, description="variant -> user ids that always get it, and that no report counts"
    )
    targeting: Targeting = Targeting()
    days: Annotated[Whole, Field(ge=1, le=365)] = Field(description="of a phase; then it is decided")
    metrics: tuple[MetricDeclaration, ...] = Field(min_length=1, max_length=50)
    alpha: Annotated[Number, Field(gt=0, lt=1)] = 0.05
    attribution_seconds: Annotated[Number, Field(gt=0)] = Field(
        default=DAY_SECONDS, description="how long after an exposure its outcomes count"
    )
    lookback_days: Annotated[Whole, Field(ge=1, le=365)] = Field(default=14, description="of CUPED")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            raise ValueError(f"every variant needs a name of its own, found {names}")
        check_weights(tuple(variant.weight for variant in self.variants))
        if unknown := self.testers.keys() - set(names):
            raise ValueError(f"testers are listed by variant ({', '.join(names)}), found {sorted(unknown)}")
        listed = [user_id for users in self.testers.values() for user_id in users]
        if len(set(listed)) != len(listed) or len(listed) > MOST_TESTERS:
            raise ValueError(f"a tester is listed once, and at most {MOST_TESTERS} are; found {len(listed)}")
        MetricsDeclaration(metrics=self.metrics)
        _check_columns(self.metrics)
        return self

    def settings(self) -> set[str]:
        """What its variants set: options, and `bundle_id`."""
        options = {name for variant in self.variants for name in variant.options.given()}
        return options | ({"bundle_id"} if any(variant.bundle_id for variant in self.variants) else set())


def _check_columns(metrics: tuple[MetricDeclaration, ...]) -> None:
    wanted = {column for one in metrics for column in (one.numerator, one.denominator) if column is not None}
    if unknown := sorted(wanted - set(COLUMNS)):
        raise ValueError(f"metrics count {', '.join(COLUMNS)}; found {', '.join(unknown)}")


def check_weights(weights: tuple[int, ...]) -> None:
    """Raises ValueError unless they share everybody out."""
    if sum(weights) != BUCKETS:
        raise ValueError(f"weights are basis points and sum to {BUCKETS}, found {list(weights)}: {sum(weights)}")


class Phase(_Declared):
    """A time during which every user keeps a variant. Times are Unix seconds."""

    number: int = Field(ge=1)
    salt: str = Field(description="drawn for each phase, so that nobody's past variant carries over")
    hash_version: Literal[1] = HASH_VERSION
    weights: tuple[int, ...] = Field(description="basis points, in the order of the variants")
    started: float
    ends: float = Field(description="as planned")
    ended: float | None = None


class Experiment(Declaration):
    """A declaration and what was decided about it."""

    state: State = "draft"
    phases: tuple[Phase, ...] = Field(default=(), description="the last is the present one")
    buckets: Buckets = Field(default=(), description="of the layer that are its own while it runs: [from, below]")

    @property
    def share(self) -> float:
        """Of the layer's users."""
        return sum(stop - start for start, stop in self.buckets) / BUCKETS
