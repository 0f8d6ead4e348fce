"""The map of intents and users, as the API answers it."""

from pydantic import BaseModel, Field


class MapPoint(BaseModel):
    """Where an intent lies; of a user, the strongest intent, and the mean of all intents by their weights."""

    intent_id: int
    x: float
    y: float


class IntentMapAnswer(BaseModel):
    """Axes are the first two principal components of the prototypes' directions."""

    bundle_id: str
    explained: list[float] = Field(description="share of the prototypes' variance along x and y")
    intents: list[MapPoint]
    users: list[MapPoint] = Field(description="some of those who are stored, as the store finds them; no ids")
    degraded: str | None = Field(default=None, description="what this answer had to do without")
