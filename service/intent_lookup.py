"""The strongest intents of a user or a raw history."""

from service.dependencies import Histories
from service.engine import Engine
from service.schemas import IntentAnswer, IntentLookup
from service.stores.base import SequenceStore
from service.telemetry import UNKNOWN_ITEMS, Stages


async def look_up(request: IntentLookup, engine: Engine, store: SequenceStore) -> IntentAnswer:
    """No intents, and source "none", when nothing is known of the user."""
    histories = Histories(store, Stages())
    history = request.history if request.history is not None else (await histories.of([request.user_id or ""]))[0]
    weights, unknown = engine.strongest_intents(history, request.top)
    UNKNOWN_ITEMS.inc(len(unknown))
    return IntentAnswer(
        intents=weights,
        bundle_id=engine.bundle_id,
        source="model" if weights else "none",
        unknown_items=unknown,
        degraded=histories.degraded,
    )
