"""That a user was given a variant's list: an entry of the event log's buffer, and a row of its files.

An entry is a line of JSON joined around the answer, which is JSON already; nobody takes it apart before it is written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from service.experiments.activity import UserGroup
from service.experiments.assignment import Assigned

EXPOSURES = "exposures"  # the directory below the event log's
BEGINNING = b'{"exposed":['  # by which entries are told from those of events
_STRUCTS = {
    "exposed": "STRUCT(experiment VARCHAR, phase INTEGER, variant VARCHAR, tester BOOLEAN)[]",
    "answer": "STRUCT(recommendation_id VARCHAR, items STRUCT(item_id VARCHAR, score FLOAT)[], bundle_id VARCHAR, "
    "source VARCHAR, degraded VARCHAR)",
    "user_id": "VARCHAR",
    "user_group": "VARCHAR",
    "stored_events": "INTEGER",
    "attributes": "JSON",
    "timestamp": "DOUBLE",
    "received": "DOUBLE",
}
ROWS = f"""
SELECT answer.recommendation_id, its.experiment, its.phase, its.variant, its.tester, user_id, user_group, stored_events,
    attributes::VARCHAR AS attributes, answer.bundle_id, answer.source, answer.degraded,
    [item.item_id FOR item IN answer.items] AS items, [item.score FOR item IN answer.items] AS scores,
    timestamp, received
FROM (
    SELECT *, unnest(exposed) AS its FROM read_json($1, format = 'newline_delimited',
        columns = {{{", ".join(f"{name}: '{kind}'" for name, kind in _STRUCTS.items())}}})
)
"""  # noqa: S608  # our own words


def entry(
    answer: bytes,
    assigned: Sequence[Assigned],
    *,
    user_id: str,
    user_group: UserGroup,
    stored_events: int,
    attributes: Mapping[str, Any],
    timestamp: float,
    received: float,
) -> bytes:
    """One line. Times are Unix seconds: when the list was shown, and the service's clock."""
    about = {
        "user_id": user_id,
        "user_group": user_group,
        "stored_events": stored_events,
        "attributes": orjson.Fragment(_json(attributes)),
        "timestamp": timestamp,
        "received": received,
    }
    exposed = b",".join([one.exposed for one in assigned])
    return b"".join((BEGINNING, exposed, b'],"answer":', answer, b",", orjson.dumps(about)[1:], b"\n"))


def _json(attributes: Mapping[str, Any]) -> bytes:
    """Nothing of what cannot be written, such as an integer beyond 64 bits: an exposure counts without."""
    try:
        return orjson.dumps(attributes)
    except TypeError:
        return b"{}"
