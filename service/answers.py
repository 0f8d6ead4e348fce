"""Recommendations as JSON, joined from parts that were encoded when the bundle was loaded."""

from binascii import hexlify
from collections.abc import Sequence
from os import urandom
from typing import NamedTuple

import numpy as np
import orjson

from service.engine import Engine
from service.experiments.assignment import Assigned
from service.question import Answer

ITEM_ID = slice(len(b'{"item_id":'), -len(b',"score":'))  # of `Engine.item_json`


class Listed(NamedTuple):
    """What an answer and its exposure have in common."""

    recommendation_id: bytes
    rows: list[int]
    scores: bytes  # as JSON

    @classmethod
    def of(cls, answer: Answer) -> "Listed":
        """With a new id."""
        scores = orjson.dumps(np.ascontiguousarray(answer.ranking.scores), option=orjson.OPT_SERIALIZE_NUMPY)
        return cls(hexlify(urandom(16)), answer.ranking.rows.tolist(), scores)


def answer_json(
    listed: Listed, answer: Answer, engine: Engine, degraded: str | None, assigned: Sequence[Assigned] = ()
) -> bytes:
    """A RecommendationAnswer without the fields that are None."""
    parts = [b'{"recommendation_id":"', listed.recommendation_id, b'","items":[', _items(listed, answer, engine), b"]"]
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


def shown_json(listed: Listed, answer: Answer, engine: Engine, degraded: str | None) -> bytes:
    """What an exposure says of it, as members of a JSON object."""
    beginnings = engine.item_json
    items = b",".join([beginnings[row - 1][ITEM_ID] for row in listed.rows])
    parts = [b'"recommendation_id":"', listed.recommendation_id, b'","items":[', items, b'],"scores":', listed.scores]
    parts += [b',"bundle_id":', engine.bundle_id_json, b',"source":"', answer.source.encode(), b'"']
    if degraded is not None:
        parts += [b',"degraded":', orjson.dumps(degraded)]
    return b"".join(parts)


def _items(listed: Listed, answer: Answer, engine: Engine) -> bytes:
    rows, beginnings = listed.rows, engine.item_json
    parts = [beginnings[row - 1] + score for row, score in zip(rows, listed.scores[1:-1].split(b","), strict=False)]
    if answer.titles:
        parts = [part + _title(engine.catalogue.title(row)) for part, row in zip(parts, rows, strict=True)]
    if answer.reasons is not None:
        parts = [part + b',"reason":' + orjson.dumps(why) for part, why in zip(parts, answer.reasons, strict=True)]
    return b",".join([part + b"}" for part in parts])


def _title(title: str | None) -> bytes:
    return b"" if title is None else b',"title":' + orjson.dumps(title)


def joined(answers: Sequence[bytes]) -> bytes:
    """{"answers": [...]} of answers that are JSON already."""
    return b'{"answers":[' + b",".join(answers) + b"]}"
