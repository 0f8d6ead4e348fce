"""The intents of a bundle, and some of the stored users among them, as points in a plane."""

import asyncio
import time
from contextlib import aclosing
from typing import NamedTuple

import numpy as np

from service.engine import Engine
from service.inference.encoder import Floats
from service.map_answer import IntentMapAnswer, MapPoint
from service.store_errors import store_failed
from service.stores.base import SequenceStore, StoreUnavailableError

MOST_USERS = 1000
KEPT_SECONDS = 30.0
SMALLEST = float(np.finfo(np.float32).tiny)  # what may be divided by


class Plane(NamedTuple):
    """Coordinates (K, 2), the farthest at distance 1 from the middle, and how much of the variance each axis shows."""

    coordinates: Floats
    explained: list[float]


class _Kept(NamedTuple):
    asked: tuple[str, int]  # bundle, users
    answer: IntentMapAnswer
    until: float  # of the monotonic clock


class IntentMaps:
    """Of one worker. One is drawn at a time, beside the requests, and kept for some seconds."""

    def __init__(self, store: SequenceStore) -> None:
        self._store = store
        self._drawing = asyncio.Lock()
        self._kept: _Kept | None = None

    async def of(self, engine: Engine, users: int) -> IntentMapAnswer:
        """The bundle's intents, and at most so many of the stored users; none while the store is away."""
        async with self._drawing:
            asked = engine.bundle_id, users
            if self._kept is None or self._kept.asked != asked or time.monotonic() > self._kept.until:
                self._kept = _Kept(asked, await self._drawn(engine, users), time.monotonic() + KEPT_SECONDS)
            return self._kept.answer

    async def _drawn(self, engine: Engine, users: int) -> IntentMapAnswer:
        try:
            histories, degraded = await some_histories(self._store, users), None
        except StoreUnavailableError as error:
            store_failed("read", error)
            histories, degraded = [], "store_unavailable"
        plane = plane_of(engine.prototypes())
        weights = await asyncio.to_thread(engine.weigh, histories)
        return IntentMapAnswer(
            bundle_id=engine.bundle_id,
            explained=plane.explained,
            intents=_points(np.arange(len(plane.coordinates)), plane.coordinates),
            users=_points(weights.argmax(axis=1), weights @ plane.coordinates),
            degraded=degraded,
        )


def plane_of(prototypes: Floats) -> Plane:
    """The plane in which the directions of (K, D) differ most; which way an axis points is settled by its farthest."""
    lengths = np.linalg.norm(prototypes, axis=1, keepdims=True)
    directions = prototypes / np.maximum(lengths, SMALLEST)
    centred = directions - directions.mean(axis=0)
    _, spreads, axes = np.linalg.svd(centred, full_matrices=False)
    coordinates = np.zeros((len(centred), 2), dtype=np.float32)
    coordinates[:, : len(axes[:2])] = centred @ axes[:2].T
    farthest = np.abs(coordinates).argmax(axis=0)
    coordinates *= np.where(coordinates[farthest, [0, 1]] < 0, -1, 1)
    variances = np.append(spreads**2, [0.0, 0.0])
    reach = max(float(np.linalg.norm(coordinates, axis=1).max()), SMALLEST)
    explained = variances[:2] / max(float(variances.sum()), SMALLEST)
    return Plane((coordinates / reach).astype(np.float32), [round(float(share), 4) for share in explained])


async def some_histories(store: SequenceStore, users: int) -> list[list[str]]:
    """Item ids, oldest first, of the first users the store comes upon. Raises StoreUnavailableError."""
    found: dict[str, list[str]] = {}
    async with aclosing(store.everything()) as events:
        async for event in events:
            if event.user_id not in found and len(found) >= users:
                break
            found.setdefault(event.user_id, []).append(event.item_id)
    return list(found.values())


def _points(intents: np.ndarray, coordinates: Floats) -> list[MapPoint]:
    return [
        MapPoint(intent_id=intent, x=round(x, 4), y=round(y, 4))
        for intent, (x, y) in zip(intents.tolist(), coordinates.tolist(), strict=True)
    ]
