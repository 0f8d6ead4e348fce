"""Whether an application does what its OpenAPI document says: schemathesis with all of its checks."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.python.asgi import shutdown_lifespans

# What schemathesis cannot know. A user nobody has seen, or has erased, is no error: it has an empty sequence
# and gets the popular items. Ids may hold slashes: DELETE /v1/users/u/intents erases the user `u/intents`. And no JSON
# schema says that weights sum to 10,000, or that a ratio has a denominator.
OURS = [
    {"include-path-regex": "^/v1/users/", "checks": {"use_after_free": {"enabled": False}}},
    {
        "include-path-regex": "^/v1/users/.*/(intents|recommendations)$",
        "checks": {"use_after_free": {"enabled": False}, "unsupported_method": {"enabled": False}},
    },
    {
        "include-path": "/admin/experiments",
        "include-method": "POST",
        "checks": {"positive_data_acceptance": {"enabled": False}},
    },
]


@dataclass
class Conformance:
    """What was asked and what was found."""

    requests: int = 0
    checks: Counter[str] = field(default_factory=Counter)  # how often each was made
    documented: set[str] = field(default_factory=set)  # operations: `GET /v1/intents` and so on
    asked: set[str] = field(default_factory=set)  # of them
    failures: list[str] = field(default_factory=list)  # each with what was wrong and how to ask again


def conformance(app: Any, key: str, *, examples: int) -> Conformance:
    """Examples, edge cases, `examples` random requests an operation, valid and not, and as many chains of requests."""
    config = {"headers": {"Authorization": f"Bearer {key}"}, "operations": OURS, "continue-on-failure": True}
    config["generation"] = {"max-examples": examples, "deterministic": True, "database": "none"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig.from_dict(config))
    paths = schema.raw_schema["paths"].items()
    found = Conformance(documented={f"{method.upper()} {path}" for path, methods in paths for method in methods})
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(event, found)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            error = event.value if isinstance(event, events.NonFatalError) else event.exception
            found.failures.append(f"not asked to the end: {error!r}")
    shutdown_lifespans()  # else the application lives on until the process ends
    return found


def _note(event: events.ScenarioFinished, found: Conformance) -> None:
    found.requests += len(event.recorder.cases)
    found.asked |= {case.value.operation.label for case in event.recorder.cases.values()}
    for check in (check for checks in event.recorder.checks.values() for check in checks):
        found.checks[check.name] += 1
        if check.status is Status.FAILURE:
            found.failures.append(
                f"{check.name}: {check.failure_info.failure.message}\n{check.failure_info.code_sample}"
            )
