"""The control state: which bundles every worker of every replica shall serve, as decided over the admin port."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.errors import ConflictError
from service.shared_document import SharedDocument, Versioned
from service.stores.base import SequenceStore

REMEMBERED = 20  # activations that can be rolled back


class Side(BaseModel):
    """A second bundle that takes part in the traffic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle_id: str
    share: float = Field(gt=0, le=1, description="of the users (canary) or of the requests (shadow)")


class Control(Versioned):
    """What was decided. Without an active bundle the newest sound one is served."""

    active: str | None = None
    before: tuple[str, ...] = Field(default=(), description="what was active before, the latest last")
    canary: Side | None = Field(default=None, description="answers a share of the users, always the same ones")
    shadow: Side | None = Field(default=None, description="is asked beside the other, and answers nobody")

    def activated(self, bundle_id: str, served: str | None) -> "Control":
        """`bundle_id` takes the place of what is active, or of what is `served` without a decision.

        A bundle that was on trial is no longer.
        """
        replaced = self.active or served
        before = self.before if replaced in (None, bundle_id) else (*self.before, replaced)[-REMEMBERED:]
        return self._next(active=bundle_id, before=before, **self._trials_without(bundle_id))

    def rolled_back(self) -> "Control":
        """The bundle before is active again, and nothing is on trial. Raises ConflictError where there was none."""
        if not self.before:
            raise ConflictError("nothing was active before: there is nothing to roll back to")
        return self._next(active=self.before[-1], before=self.before[:-1], canary=None, shadow=None)

    def following_newest(self) -> "Control":
        """Nothing is decided: the newest sound bundle is served."""
        return Control(version=self.version + 1)

    def trying(self, kind: Literal["canary", "shadow"], side: Side | None) -> "Control":
        """With that bundle as canary or shadow, None: without one."""
        return self._next(**{kind: side})

    def _next(self, **changes: Any) -> "Control":
        return self.model_copy(update={"version": self.version + 1, **changes})

    def _trials_without(self, bundle_id: str) -> dict[str, Side | None]:
        sides = {"canary": self.canary, "shadow": self.shadow}
        return {kind: None if side and side.bundle_id == bundle_id else side for kind, side in sides.items()}


def control_state(store: SequenceStore) -> SharedDocument[Control]:
    """The decisions kept in a store."""
    return SharedDocument(store, "control", Control())
