"""Recommendations as JSON, joined from parts that were encoded when the bundle was loaded."""

from collections.abc import Sequence
from uuid import uuid4

import numpy as np
import orjson

from service.engine import Engine
from service.experiments.assignment import Assigned
from service.question import Answer

ITEM_ID = slice(len(b'{"item_id":'), -len(b',"score":'))  # of `Engine.item_json`


def recommendation_id() -> bytes:
    """A new one."""
    return uuid4().hex.encode()


def answer_json(
    made: bytes, answer: Answer, engine: Engine, degraded: str | None, assigned: Sequence[Assigned] = ()
) -> bytes:
    """A RecommendationAnswer, by its recommendation id, without the fields that are None."""
    parts = [b'{"recommendation_id":"', made, b'","items":[', _items(answer, engine), b"]"]
    intents = [{"intent_id": one.intent_id, "weight": one.weight} for one in answer.intents]
    parts += [b',"intents":', orjson.dumps(intents) if intents else b"[]"]
    parts += [b',"bundle_id":', engine.bundle_id_json, b',"source":"', answer.source.encode(), b'"']
    parts += [b',"unknown_items":', orjson.dumps(answer.unknown_items) if answer.unknown_items else b"[]"]
    if answer.available is not None:
        parts += [b',"available":', str(answer.available).encode()]
    if assigned:
        parts += [b",", assigned[0].json]
    if len(assigned) > 1:
        parts += [b',"experiments":[', b",".join([b"{" + one.json + b"}" for one in assigned]), b"]"]
    if degraded is not None:
        parts += [b',"degraded":', orjson.dumps(degraded)]
    parts.append(b"}")
    return b"".join(parts)


def shown_json(made: bytes, answer: Answer, engine: Engine, degraded: str | None) -> bytes:
    """What an exposure says of it, as members of a JSON object."""
    items = b",".join([engine.item_json[row - 1][ITEM_ID] for row in answer.ranking.rows.tolist()])
    parts = [b'"recommendation_id":"', made, b'","items":[', items, b'],"scores":', _scores(answer)]
    parts += [b',"bundle_id":', engine.bundle_id_json, b',"source":"', answer.source.encode(), b'"']
    if degraded is not None:
        parts += [b',"degraded":', orjson.dumps(degraded)]
    return b"".join(parts)


def _scores(answer: Answer) -> bytes:
    return orjson.dumps(np.ascontiguousarray(answer.ranking.scores), option=orjson.OPT_SERIALIZE_NUMPY)


def _items(answer: Answer, engine: Engine) -> bytes:
    rows = answer.ranking.rows.tolist()
    beginnings = engine.item_json
    parts = [beginnings[row - 1] + score for row, score in zip(rows, _scores(answer)[1:-1].split(b","), strict=False)]
    if answer.titles:
        parts = [part + _title(engine.items[row - 1].title) for part, row in zip(parts, rows, strict=True)]
    if answer.reasons is not None:
        parts = [part + b',"reason":' + orjson.dumps(why) for part, why in zip(parts, answer.reasons, strict=True)]
    return b",".join([part + b"}" for part in parts])


def _title(title: str | None) -> bytes:
    return b"" if title is None else b',"title":' + orjson.dumps(title)


def joined(answers: Sequence[bytes]) -> bytes:
    """{"answers": [...]} of answers that are JSON already."""
    return b'{"answers":[' + b",".join(answers) + b"]}"
