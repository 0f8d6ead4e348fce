"""Requests and answers of the REST API."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SkipValidation, StrictBool, model_validator

from service.fields import EventValue, Identifier, K, Number, Scalar, Whole, at_least_one
from service.timestamps import readable

Source = Literal["model", "popular_in_intent", "popular_in_category", "popular"]
Timestamp = Number | Annotated[str, AfterValidator(readable), Field(json_schema_extra={"format": "date-time"})]
SOMEBODY = at_least_one(user_id="string", history="array")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Range(_Request):
    """Numbers from min to max, both included; at least one of them."""

    min: Number | None = None
    max: Number | None = None

    model_config = ConfigDict(json_schema_extra=at_least_one(min="number", max="number"))

    @model_validator(mode="after")
    def _bounds_something(self) -> "Range":
        if self.min is None and self.max is None:
            raise ValueError("give min, max, or both")
        return self


Condition = Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=100)] | Range


class RecommendationRequest(_Request):
    """At least one of user_id and history; with both, history is the input."""

    user_id: Identifier | None = None
    history: list[Identifier] | None = Field(default=None, max_length=1000, description="item ids, oldest first")
    k: K = 20
    exclude_seen: StrictBool = True
    exclude: list[Identifier] = Field(
        default_factory=list, max_length=1000, description="item ids that must not be shown"
    )
    allow: list[Identifier] | None = Field(default=None, max_length=10000, description="only these may be shown")
    filters: dict[Identifier, Condition] = Field(
        default_factory=dict,
        max_length=10,
        description="every condition must be met: category or attribute -> a value, any of a list, or min and max",
    )
    max_per_category: K | None = Field(default=None, description="of items that have a category")
    diversity: Number = Field(
        default=0.0, ge=0, le=1, description="0: by score alone; towards 1 the items are less and less alike (MMR)"
    )
    blend: Number | None = Field(
        default=None, ge=0, le=1000, description="weight of co-occurrence; 0: none; without it the bundle's own, if any"
    )
    attributes: dict[str, Any] = Field(
        default_factory=dict, description="of the user; `category` is where to look without a history"
    )
    timestamp: Timestamp | None = Field(default=None, description="when the list is shown; without it now")
    intents: Whole = Field(default=0, ge=0, le=100, description="how many of the strongest intents to return")
    titles: StrictBool = False
    reasons: StrictBool = Field(
        default=False, description="say of each item which intent it serves and what it is like"
    )

    model_config = ConfigDict(
        json_schema_extra={**SOMEBODY, "examples": [{"history": ["item-1", "item-7"], "k": 5, "intents": 3}]}
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> "RecommendationRequest":
        if self.user_id is None and self.history is None:
            raise ValueError("give user_id, history, or both")
        return self


class BatchRequest(_Request):
    """Up to 256 requests; a bad one gets its own error, the others are answered."""

    requests: list[SkipValidation[RecommendationRequest | Any]] = Field(
        min_length=1, max_length=256, description="checked one by one: anything else gets an error as its answer"
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"requests": [{"history": ["a"]}, {"user_id": "u1"}]}]})


class IntentLookup(_Request):
    """At least one of user_id and history; with both, history is the input."""

    user_id: Identifier | None = None
    history: list[Identifier] | None = Field(default=None, max_length=1000)
    top: Whole = Field(default=5, ge=1, le=1000)

    model_config = ConfigDict(json_schema_extra={**SOMEBODY, "examples": [{"history": ["item-1"], "top": 3}]})

    @model_validator(mode="after")
    def _names_somebody(self) -> "IntentLookup":
        if self.user_id is None and self.history is None:
            raise ValueError("give user_id, history, or both")
        return self


class Event(_Request):
    """One interaction as it happens."""

    user_id: Identifier
    item_id: Identifier
    type: str = Field(default="click", min_length=1, max_length=64)
    timestamp: Number | str = Field(description="Unix seconds, or RFC 3339 with an offset")
    event_id: Identifier | None = Field(default=None, description="makes a repeated delivery harmless")
    value: EventValue | None = Field(default=None, description="a conversion's price, a view's seconds")
    recommendation_id: Identifier | None = None


class EventsRequest(_Request):
    """Up to 1,000 events; a bad one is reported as invalid, the others are kept."""

    events: list[SkipValidation[Event | Any]] = Field(
        min_length=1, max_length=1000, description="checked one by one: anything else is answered as invalid"
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"events": [{"user_id": "u1", "item_id": "item-1", "timestamp": "2026-01-01T12:00:00Z"}]}]
        },
    )


class Reason(BaseModel):
    """Why an item is in the list."""

    intent_id: int = Field(description="the likeliest intent behind it, for this user")
    because: list[str] = Field(description="item ids of the history that it is most like, the nearest first")


class RankedItem(BaseModel):
    """An item of an answer; score orders the list, unless diversity does, and means nothing across bundles."""

    item_id: str
    score: float
    title: str | None = None
    reason: Reason | None = None


class IntentWeight(BaseModel):
    """How much of a sequence an intent explains; weights of all intents sum to 1."""

    intent_id: int
    weight: float


class AssignedVariant(BaseModel):
    """A running experiment that the user is in, and the variant the list was made by."""

    experiment: str
    variant: str


class RecommendationAnswer(BaseModel):
    """The answer to one request."""

    recommendation_id: str
    items: list[RankedItem]
    intents: list[IntentWeight] = []
    bundle_id: str
    source: Source
    unknown_items: list[str] = []
    available: int | None = Field(default=None, description="given when fewer than k items were possible")
    experiment: str | None = Field(default=None, description="the first that the user is in")
    variant: str | None = None
    experiments: list[AssignedVariant] | None = Field(default=None, description="given when there are several")
    degraded: str | None = Field(default=None, description="what this answer had to do without")


class BatchAnswer(BaseModel):
    """One answer or error a request, in order."""

    answers: list["RecommendationAnswer | ErrorAnswer"]


class IntentAnswer(BaseModel):
    """The strongest intents of one user or history."""

    intents: list[IntentWeight]
    bundle_id: str
    source: Literal["model", "none"]
    unknown_items: list[str] = []
    degraded: str | None = None


class IntentSummary(BaseModel):
    """One intent, as found on the training sequences."""

    intent_id: int
    size: int = Field(description="training users whose strongest intent this is")
    share: float = Field(description="of the training users")
    top_items: list[RankedItem] = Field(description="most typical of its users, best first")


class IntentsAnswer(BaseModel):
    """Every intent of a bundle."""

    bundle_id: str
    meaning: str = Field(description="what the method's intent weights are")
    post_hoc: bool = Field(description="found at export, because the method learns none of its own")
    intents: list[IntentSummary]


class IntentNeighbour(BaseModel):
    """Another intent, and the inner product of the two prototypes."""

    intent_id: int
    similarity: float


class OneIntentAnswer(IntentSummary):
    """One intent, the items nearest to its prototype, the intents nearest to it."""

    bundle_id: str
    items: list[RankedItem]
    neighbours: list[IntentNeighbour]


class SimilarAnswer(BaseModel):
    """Items by cosine, the most alike first."""

    bundle_id: str
    items: list[RankedItem]


class StoredInteraction(BaseModel):
    """One event of a stored sequence."""

    item_id: str
    timestamp: str = Field(description="RFC 3339, UTC", json_schema_extra={"format": "date-time"})
    title: str | None = None


class UserAnswer(BaseModel):
    """What is stored of a user, oldest first."""

    user_id: str
    interactions: list[StoredInteraction]


class ErasedAnswer(BaseModel):
    """Nothing is stored of the user any more."""

    user_id: str
    erased: bool = Field(description="whether there was anything")


class LiveAnswer(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class ReadyAnswer(BaseModel):
    """Requests are answered, and from what."""

    status: Literal["ready"] = "ready"
    bundle_id: str
    store: Literal["ok", "unavailable"]
    control_version: int


class EventResult(BaseModel):
    """What became of one event, in the order they were sent."""

    status: Literal["accepted", "duplicate", "late", "future", "invalid"]
    known: bool | None = Field(default=None, description="false for an item the bundle lacks")
    stored: bool = Field(default=True, description="whether the sequence holds it: not late, and of a type it takes")
    reason: str | None = None


class EventsAnswer(BaseModel):
    """One result an event, in order."""

    results: list[EventResult]


class Problem(BaseModel):
    """What was wrong."""

    code: str = Field(examples=["unknown_item"], description="for programs; it does not change")
    message: str = Field(examples=["unknown item_id 'item-0'"], description="for people")
    details: Any = None


class ErrorAnswer(BaseModel):
    """The one shape of every error."""

    error: Problem
