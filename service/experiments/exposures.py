"""That a user was given a variant's list: an entry of the event log's buffer, and a row of its files.

An entry is a line of JSON; nobody takes it apart before it is written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from service.experiments.activity import UserGroup
from service.experiments.assignment import Assigned

EXPOSURES = "exposures"  # the directory below the event log's
BEGINNING = b'{"exposed":['  # by which entries are told from those of events
_COLUMNS = {
    "exposed": "STRUCT(experiment VARCHAR, phase INTEGER, variant VARCHAR, tester BOOLEAN)[]",
    "recommendation_id": "VARCHAR",
    "items": "VARCHAR[]",
    "scores": "FLOAT[]",
    "bundle_id": "VARCHAR",
    "source": "VARCHAR",
    "degraded": "VARCHAR",
    "user_id": "VARCHAR",
    "user_group": "VARCHAR",
    "stored_events": "INTEGER",
    "attributes": "JSON",
    "timestamp": "DOUBLE",
    "received": "DOUBLE",
}
ROWS = f"""
SELECT recommendation_id, its.experiment, its.phase, its.variant, its.tester, user_id, user_group, stored_events,
    attributes::VARCHAR AS attributes, bundle_id, source, degraded, items, scores, timestamp, received
FROM (
    SELECT *, unnest(exposed) AS its FROM read_json($1, format = 'newline_delimited',
        columns = {{{", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())}}})
)
"""  # noqa: S608  # our own words


def entry(
    answer: bytes,
    assigned: Sequence[Assigned],
    *,
    user_id: str,
    user_group: UserGroup | None,
    stored_events: int | None,
    attributes: Mapping[str, Any],
    timestamp: float,
    received: float,
) -> bytes:
    """One line; `answer` is of `shown_json`. Unix seconds: when the list was shown, and the service's clock.

    How active the user is, is None while the store is away.
    """
    about = {
        "user_id": user_id,
        "user_group": user_group,
        "stored_events": stored_events,
        "attributes": orjson.Fragment(_json(attributes)),
        "timestamp": timestamp,
        "received": received,
    }
    exposed = b",".join([one.exposed for one in assigned])
    return b"".join((BEGINNING, exposed, b"],", answer, b",", orjson.dumps(about)[1:], b"\n"))


def _json(attributes: Mapping[str, Any]) -> bytes:
    """Nothing of what cannot be written, such as an integer beyond 64 bits: an exposure counts without."""
    try:
        return orjson.dumps(attributes)
    except TypeError:
        return b"{}"
