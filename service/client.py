"""A client of the public port, in the types of the service.

It is synchronous: that is what scripts, jobs and most web back ends call from; one client serves many threads.
"""

import time
from collections.abc import Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar

import httpx2 as httpx
from pydantic import BaseModel, ValidationError

from service.experiments.answers import ExperimentAnswer, ExperimentsAnswer
from service.experiments.report.contents import Report
from service.fields import quoted
from service.map_answer import IntentMapAnswer
from service.schemas import (
    BatchAnswer,
    BatchRequest,
    ErasedAnswer,
    ErrorAnswer,
    Event,
    EventResult,
    EventsAnswer,
    EventsRequest,
    IntentAnswer,
    IntentLookup,
    IntentsAnswer,
    OneIntentAnswer,
    ReadyAnswer,
    RecommendationAnswer,
    RecommendationRequest,
    SimilarAnswer,
    UserAnswer,
)

LONGEST_WAIT = 5.0  # seconds, whatever Retry-After says
Answer = TypeVar("Answer", bound=BaseModel)


class ClientError(Exception):
    """The call did not bring an answer.

    ClientError
    |- UnreachableError      the service did not answer, or not in time
    `- RefusedError          it answered with an error: status, code, message, details
       |- NotAllowedError    401, 403
       |- NotFoundError      404
       |- ConflictError      409
       |- RateLimitedError   429
       `- UnavailableError   503
    """


class UnreachableError(ClientError):
    """The service did not answer, or not in time."""


class RefusedError(ClientError):
    """The service answered with an error. Programs go by `code`."""

    def __init__(self, status: int, code: str, message: str, details: Any = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details


class NotAllowedError(RefusedError):
    """No key or token, one that is not known, or one for something else."""


class NotFoundError(RefusedError):
    """There is no such item, intent or bundle."""


class ConflictError(RefusedError):
    """The bundle being served cannot do what is asked."""


class RateLimitedError(RefusedError):
    """The key asks more often than it may."""


class UnavailableError(RefusedError):
    """The service cannot answer for now, and did not when it was asked again."""


KINDS: dict[int, type[RefusedError]] = {
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitedError,
    503: UnavailableError,
}


class Client:
    """Use it as a context manager, or close it.

    Every call raises ClientError. A 503 with Retry-After and a broken connection are followed by another attempt:
    calls read, or do the same when they are done again.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 2.0, retries: int = 2) -> None:
        """`key`: an API key or a token. `timeout`: seconds of each attempt."""
        headers = {"authorization": f"Bearer {key}"} if key is not None else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout)
        self._retries = retries

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def recommend(self, request: RecommendationRequest, *, bundle_id: str | None = None) -> RecommendationAnswer:
        """The k best next items for a user or a raw history."""
        return self._post("/v1/recommendations", request, RecommendationAnswer, bundle_id)

    def recommend_batch(
        self, requests: Sequence[RecommendationRequest], *, bundle_id: str | None = None
    ) -> list[RecommendationAnswer | ErrorAnswer]:
        """An answer or an error each, in order."""
        batch = BatchRequest(requests=list(requests))
        return self._post("/v1/recommendations/batch", batch, BatchAnswer, bundle_id).answers

    def look_up_intents(self, request: IntentLookup, *, bundle_id: str | None = None) -> IntentAnswer:
        """The strongest intents of a user or a raw history."""
        return self._post("/v1/intents/lookup", request, IntentAnswer, bundle_id)

    def intents(self, *, bundle_id: str | None = None) -> IntentsAnswer:
        """Every intent of the bundle."""
        return self._get("/v1/intents", IntentsAnswer, bundle_id=bundle_id)

    def intent(self, intent_id: int, *, k: int = 20, bundle_id: str | None = None) -> OneIntentAnswer:
        """One intent, its k nearest items and its neighbours."""
        return self._get(f"/v1/intents/{intent_id}", OneIntentAnswer, k=k, bundle_id=bundle_id)

    def intent_map(self, *, users: int = 500, bundle_id: str | None = None) -> IntentMapAnswer:
        """Where the intents lie, and some of the stored users among them."""
        return self._get("/v1/intents/map", IntentMapAnswer, users=users, bundle_id=bundle_id)

    def similar(self, item_id: str, *, k: int = 20, bundle_id: str | None = None) -> SimilarAnswer:
        """The k items most like one."""
        return self._get(f"/v1/items/{quoted(item_id)}/similar", SimilarAnswer, k=k, bundle_id=bundle_id)

    def send(self, events: Sequence[Event]) -> list[EventResult]:
        """What became of each event, in order."""
        request = EventsRequest(events=list(events))
        return self._post("/v1/events", request, EventsAnswer, None).results

    def user(self, user_id: str, *, titles: bool = False) -> UserAnswer:
        """What is stored of a user."""
        return self._get(f"/v1/users/{quoted(user_id)}", UserAnswer, titles=titles or None)

    def erase(self, user_id: str) -> ErasedAnswer:
        """Forget everything about a user."""
        return self.call("DELETE", f"/v1/users/{quoted(user_id)}", ErasedAnswer)

    def experiments(self) -> list[ExperimentAnswer]:
        """All experiments that are kept."""
        return self._get("/v1/experiments", ExperimentsAnswer).experiments

    def experiment(self, name: str) -> ExperimentAnswer:
        """One experiment."""
        return self._get(f"/v1/experiments/{quoted(name)}", ExperimentAnswer)

    def report(self, name: str) -> Report:
        """How an experiment stands; it may take seconds."""
        return self._get(f"/v1/experiments/{quoted(name)}/report", Report)

    def ready(self) -> ReadyAnswer:
        """Which bundle answers, and whether the store does."""
        return self._get("/health/ready", ReadyAnswer)

    def _get(self, path: str, answer: type[Answer], **query: Any) -> Answer:
        return self.call("GET", path, answer, params={name: it for name, it in query.items() if it is not None})

    def _post(self, path: str, request: BaseModel, answer: type[Answer], bundle_id: str | None) -> Answer:
        body = {"content": request.model_dump_json(exclude_unset=True), "headers": {"content-type": "application/json"}}
        return self.call("POST", path, answer, params={"bundle_id": bundle_id} if bundle_id else {}, **body)

    def call(self, method: str, path: str, answer: type[Answer], **request: Any) -> Answer:
        """The parsed answer to one call, however often it takes. `request`: as httpx takes it."""
        for attempts_left in reversed(range(self._retries + 1)):
            try:
                found = self._http.request(method, path, **request)
            except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
                if not attempts_left:
                    raise UnreachableError(f"{method} {path}: {error!r}") from error
                continue
            except httpx.TransportError as error:
                raise UnreachableError(f"{method} {path}: {error!r}") from error
            if found.status_code != HTTPStatus.SERVICE_UNAVAILABLE or not attempts_left:
                break
            time.sleep(_wait(found.headers.get("retry-after")))
        if found.status_code != HTTPStatus.OK:
            raise _refusal(found)
        return answer.model_validate_json(found.content)


def _wait(retry_after: str | None) -> float:
    return min(float(retry_after), LONGEST_WAIT) if retry_after is not None and retry_after.isdigit() else 0.0


def _refusal(found: httpx.Response) -> RefusedError:
    """A proxy in between may answer in a shape of its own."""
    try:
        problem = ErrorAnswer.model_validate_json(found.content).error
    except ValidationError:
        return KINDS.get(found.status_code, RefusedError)(found.status_code, "unknown", found.reason_phrase)
    kind = KINDS.get(found.status_code, RefusedError)
    return kind(found.status_code, problem.code, problem.message, problem.details)
