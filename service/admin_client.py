"""A client of the admin port's experiments, in the types of the service."""

from types import TracebackType
from typing import Any, TypeVar

from pydantic import BaseModel

from service.client import Client
from service.experiments.declarations import Declaration, Experiment
from service.experiments.kept import Deleted, ExperimentsKept, HoldOut
from service.fields import quoted

Answer = TypeVar("Answer", bound=BaseModel)
ROOT = "/admin/experiments"


class AdminClient:
    """Use it as a context manager. Every call raises ClientError, and is made once: a change is not repeated."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 150.0) -> None:
        """`url` of the admin port. `timeout`: seconds; before a start the bundles are checked."""
        self._client = Client(url, key=key, timeout=timeout, retries=0)

    def __enter__(self) -> "AdminClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def create(self, declaration: Declaration) -> Experiment:
        """A draft."""
        return self._client.call("POST", ROOT, Experiment, json=declaration.model_dump(mode="json", exclude_unset=True))

    def experiments(self) -> ExperimentsKept:
        """All of them, with salts, buckets and testers."""
        return self._client.call("GET", ROOT, ExperimentsKept)

    def experiment(self, name: str) -> Experiment:
        """One experiment."""
        return self._client.call("GET", f"{ROOT}/{quoted(name)}", Experiment)

    def start(self, name: str, share: float) -> Experiment:
        """It runs on that share of its layer."""
        return self._post(name, "start", share=share)

    def ramp(self, name: str, share: float) -> Experiment:
        """More users, and all who were in it."""
        return self._post(name, "ramp", share=share)

    def begin_phase(self, name: str, share: float | None = None, weights: dict[str, int] | None = None) -> Experiment:
        """Every user draws a variant anew."""
        return self._post(name, "phase", **({"share": share} if share is not None else {}), weights=weights or {})

    def stop(self, name: str) -> Experiment:
        """Nobody is in it any more."""
        return self._client.call("POST", f"{ROOT}/{quoted(name)}/stop", Experiment)

    def delete(self, name: str) -> None:
        """A draft or a stopped one is forgotten."""
        self._client.call("DELETE", f"{ROOT}/{quoted(name)}", Deleted)

    def hold_out(self, share: float) -> HoldOut:
        """That share of the users is in no experiment."""
        return self._client.call("POST", "/admin/holdout", HoldOut, json={"share": share})

    def _post(self, name: str, what: str, **body: Any) -> Experiment:
        return self._client.call("POST", f"{ROOT}/{quoted(name)}/{what}", Experiment, json=body)
