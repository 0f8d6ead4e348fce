"""The control state: which bundle every worker of every replica shall serve, as decided over the admin port."""

from pydantic import Field

from service.errors import ConflictError
from service.shared_document import SharedDocument, Versioned
from service.stores.base import SequenceStore

REMEMBERED = 20  # activations that can be rolled back


class Control(Versioned):
    """What was decided. Without an active bundle the newest sound one is served."""

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


def control_state(store: SequenceStore) -> SharedDocument[Control]:
    """The decisions kept in a store."""
    return SharedDocument(store, "control", Control())
