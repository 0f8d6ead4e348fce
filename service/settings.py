"""Settings, from INTENTLY_* environment variables. The command line sets them for its workers."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.experiments.activity import THRESHOLDS, Activity
from service.inference.device import Device
from service.stores.opening import StoreOptions

LogFormat = Literal["json", "text"]


class Settings(BaseSettings):
    """What one worker needs to know."""

    model_config = SettingsConfigDict(env_prefix="INTENTLY_", env_ignore_empty=True, extra="ignore", frozen=True)

    bundle: Path = Field(default=Path("bundles"), description="a bundle, or a directory whose newest bundle is served")
    mirror: str | None = Field(default=None, description="fsspec URL whose bundles are copied to `bundle`")
    mirror_seconds: float = Field(default=10.0, gt=0, description="seconds between looks at `mirror`")
    store: str = Field(default="sqlite:///intently.sqlite3", description="a store URL, see docs/stores.md")
    store_password_file: Path | None = Field(default=None, description="password of the user that the store URL names")
    stored_events: int = Field(default=200, ge=1, description="events kept per user")
    stored_days: float | None = Field(default=None, gt=0, description="days an idle user is kept; without it for ever")
    store_timeout: float = Field(default=0.05, gt=0, description="seconds a read from Redis may take")
    sequence_event_types: frozenset[str] = Field(
        default=frozenset({"click", "view", "interaction", "cart", "purchase", "conversion"}),
        description="event types that enter a user's sequence",
    )
    future_tolerance: float = Field(default=300.0, ge=0, description="seconds an event may lie ahead of the clock")
    keys: Path | None = Field(default=None, description="API keys file; without it everybody may do everything")
    jwt_issuer: str | None = Field(default=None, description="`iss` of the tokens that are taken beside API keys")
    jwt_audience: str | None = Field(default=None, description="`aud` of tokens: this service")
    jwt_keys: str | None = Field(default=None, description="JWKS with the keys of the issuer: a URL or a file")
    jwt_keys_seconds: float = Field(default=300.0, gt=0, description="seconds between looks at the JWKS")
    jwt_scopes_claim: str = Field(default="scope", description="claim of tokens that names scopes")
    jwt_rate: float | None = Field(default=None, gt=0, description="requests a second of each subject")
    workers: int = Field(default=1, ge=1, description="processes that share a key's rate")
    device: Device = Field(default="auto", description="of ONNX Runtime: auto is cuda where it can be had, else cpu")
    threads: int = Field(default=1, ge=1, description="threads of ONNX Runtime and FAISS in each worker")
    queue_limit: int = Field(default=2048, ge=1, description="requests that may wait in a worker; more are refused")
    deadline: float = Field(default=0.5, gt=0, description="seconds a request may wait before it is refused")
    events: Path | None = Field(default=None, description="directory of the event log; without it none is kept")
    events_seconds: float = Field(default=30.0, gt=0, description="seconds between writes of the event log")
    events_days: int | None = Field(default=None, ge=1, description="days the event log is kept; without it for ever")
    events_buffer_mb: float = Field(default=512, gt=0, description="MB that may wait for the event log's writer")
    activity_thresholds: Annotated[tuple[int, ...], NoDecode] = Field(
        default=THRESHOLDS, description="the most stored events of a user who is pure_new, new, low, medium"
    )
    log_format: LogFormat = Field(default="text", description="of every process, on standard error")
    access_log: bool = Field(default=False, description="whether every answer leaves a line")
    traces: bool = Field(default=False, description="whether OpenTelemetry traces are sent, as OTEL_* variables say")
    poll_seconds: float = Field(default=1.0, gt=0, description="seconds between looks for a newer bundle")

    @field_validator("activity_thresholds", mode="before")
    @classmethod
    def _numbers(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("activity_thresholds")
    @classmethod
    def _four_that_ascend(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        Activity(value)
        return value

    def store_options(self) -> StoreOptions:
        """How the store keeps and answers."""
        return {
            "stored_events": self.stored_events,
            "stored_days": self.stored_days,
            "timeout": self.store_timeout,
            "password_file": self.store_password_file,
        }
