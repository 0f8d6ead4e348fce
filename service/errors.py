"""Everything the API refuses, in one shape: {"error": {"code", "message", "details"}}.

ServiceError
|- UnauthorizedError     401 unauthorized
|- ForbiddenError        403 forbidden
|- TooManyRequestsError  429 rate_limited
|- BodyTooLargeError     413 body_too_large
|- NotJsonError          415 unsupported_media_type
|- UnknownItemError      404 unknown_item
|- UnknownIntentError    404 unknown_intent
|- UnknownBundleError    404 unknown_bundle
|- UnknownExperimentError 404 unknown_experiment
|- UnknownFilterError    409 unknown_filter
|- NoBlendError          409 no_blend
|- TimestampError        409 bad_timestamp
|- ConflictError         409 conflict
|- BundleRefusedError    409 bundle_refused
|- NotReadyError         503 not_ready
|- LogUnreadableError    503 log_unreadable
|- OverloadedError       503 overloaded
`- StoreDownError        503 store_unavailable
"""

from collections.abc import Iterable, Mapping
from typing import Any


class ServiceError(Exception):
    """A refusal with an HTTP status and a code that programs can rely on."""

    status = 400
    code = "bad_request"

    def __init__(self, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class UnauthorizedError(ServiceError):
    """No key, or none that is known."""

    status = 401
    code = "unauthorized"


class ForbiddenError(ServiceError):
    """The key is for something else."""

    status = 403
    code = "forbidden"


class TooManyRequestsError(ServiceError):
    """The key asks more often than it may."""

    status = 429
    code = "rate_limited"


class BodyTooLargeError(ServiceError):
    """The body is over the limit."""

    status = 413
    code = "body_too_large"


class NotJsonError(ServiceError):
    """The body is declared to be something else than JSON."""

    status = 415
    code = "unsupported_media_type"


class UnknownItemError(ServiceError):
    """The path names an item the catalogue does not have."""

    status = 404
    code = "unknown_item"

    def __init__(self, item_id: str) -> None:
        super().__init__(f"unknown item_id {item_id!r}")


class UnknownIntentError(ServiceError):
    """The path names an intent the bundle does not have."""

    status = 404
    code = "unknown_intent"

    def __init__(self, intent_id: int, count: int) -> None:
        super().__init__(f"unknown intent_id {intent_id}: this bundle has intents 0 to {count - 1}")


class UnknownBundleError(ServiceError):
    """The request names a bundle that is not there, or not being served."""

    status = 404
    code = "unknown_bundle"

    def __init__(self, bundle_id: str, served: str) -> None:
        super().__init__(f"no bundle {bundle_id!r} here; there is {served}")


class UnknownExperimentError(ServiceError):
    """The path names an experiment that there is not."""

    status = 404
    code = "unknown_experiment"

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no experiment {name!r} here; there is {', '.join(known) or 'none'}")


class ConflictError(ServiceError):
    """What is asked does not fit the state of the service."""

    status = 409
    code = "conflict"


class BundleRefusedError(ServiceError):
    """The bundle is not sound; the one being served stays."""

    status = 409
    code = "bundle_refused"


class UnknownFilterError(ServiceError):
    """A filter names what no item of the catalogue being served has."""

    status = 409
    code = "unknown_filter"

    def __init__(self, column: str, columns: list[str]) -> None:
        known = ", ".join(columns) or "none: give `prepare` an items file"
        super().__init__(f"no item has {column!r}; filters of this bundle: {known}")


class NoBlendError(ServiceError):
    """A blend is asked, and the bundle being served holds no co-occurrence."""

    status = 409
    code = "no_blend"

    def __init__(self) -> None:
        super().__init__("this bundle holds no co-occurrence to blend in: make one that does with intently-train blend")


class TimestampError(ServiceError):
    """A request says that it happens in the future, or before 1970."""

    status = 409
    code = "bad_timestamp"


class NotReadyError(ServiceError):
    """No bundle has been loaded yet."""

    status = 503
    code = "not_ready"


class LogUnreadableError(ServiceError):
    """Files of the event log cannot be read now."""

    status = 503
    code = "log_unreadable"


class OverloadedError(ServiceError):
    """More is asked than can be answered in time."""

    status = 503
    code = "overloaded"


class StoreDownError(ServiceError):
    """The store does not answer and the request cannot be served without it."""

    status = 503
    code = "store_unavailable"


def error_body(code: str, message: str, details: Any = None) -> dict[str, Any]:
    """The one shape of an error."""
    return {"error": {"code": code, "message": message, "details": details}}


def invalid_body(errors: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The body of a 422, from pydantic's errors; what was sent is not repeated."""
    details = [{"location": list(one["loc"]), "message": one["msg"]} for one in errors]
    return error_body("invalid_request", "the request is not valid", details)
