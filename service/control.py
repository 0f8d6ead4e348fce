"""The control state: which bundle every worker of every replica shall serve, one versioned document in the store."""

import logging
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import ConflictError
from service.stores.base import SequenceStore, StoreUnavailableError

log = logging.getLogger("intently")
REMEMBERED = 20  # activations that can be rolled back
ATTEMPTS = 10


class Control(BaseModel):
    """What was decided. Without an active bundle the newest sound one is served."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(default=0, ge=0)
    active: str | None = None
    before: tuple[str, ...] = Field(default=(), description="what was active before, the latest last")

    def activated(self, bundle_id: str, served: str | None) -> "Control":
        """`bundle_id` takes the place of what is active, or of what is `served` without a decision."""
        replaced = self.active or served
        before = self.before if replaced in (None, bundle_id) else (*self.before, replaced)[-REMEMBERED:]
        return Control(version=self.version + 1, active=bundle_id, before=before)

    def rolled_back(self) -> "Control":
        """The bundle before is active again. Raises ConflictError where there was none."""
        if not self.before:
            raise ConflictError("nothing was active before: there is nothing to roll back to")
        return Control(version=self.version + 1, active=self.before[-1], before=self.before[:-1])

    def following_newest(self) -> "Control":
        """Nothing is decided: the newest sound bundle is served."""
        return Control(version=self.version + 1)


class ControlState:
    """The document as this process knows it."""

    def __init__(self, store: SequenceStore) -> None:
        self._store = store
        self._away = False
        self.current = Control()

    async def poll(self) -> Control:
        """Read the document; the last known one stands while the store is away or the document is not readable."""
        try:
            self.current = (await self._read())[1]
            self._away = False
        except (StoreUnavailableError, ValidationError) as error:
            if not self._away:  # once, not every second
                log.warning("the control state cannot be read: %s", error)
            self._away = True
        return self.current

    async def change(self, decide: Callable[[Control], Control]) -> Control:
        """Write what `decide` makes of the current document, again if somebody else wrote meanwhile.

        Raises StoreUnavailableError, ConflictError.
        """
        for _ in range(ATTEMPTS):
            raw, found = await self._read()
            decided = decide(found)
            if await self._store.change_control(raw, decided.model_dump_json().encode()):
                self.current = decided
                return decided
        raise ConflictError("the control state is being changed by others; try again")

    async def _read(self) -> tuple[bytes | None, Control]:
        raw = await self._store.control()
        return raw, Control() if raw is None else Control.model_validate_json(raw)
