"""The control state: bundles and experiments of every worker of every replica, as decided over the admin port."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.errors import ConflictError
from service.experiments.declarations import Experiment
from service.experiments.lifecycle import Change
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
    experiments: tuple[Experiment, ...] = ()
    holdout: float = Field(default=0.0, ge=0, lt=1, description="share of the users who are in no experiment")

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
        """Nothing is decided about bundles: the newest sound one is served. Experiments go on."""
        return Control(version=self.version + 1, experiments=self.experiments, holdout=self.holdout)

    def trying(self, kind: Literal["canary", "shadow"], side: Side | None) -> "Control":
        """With that bundle as canary or shadow, None: without one."""
        return self._next(**{kind: side})

    def experimenting(self, change: Change) -> "Control":
        """With the experiments changed. Raises what `change` does."""
        return self._next(experiments=change(self.experiments))

    def holding_out(self, share: float) -> "Control":
        """That share of the users is in no experiment. Raises ConflictError while any runs."""
        if running := [one.name for one in self.experiments if one.state == "running"]:
            raise ConflictError(f"the hold-out changes only while nothing runs; stop {', '.join(running)}")
        return self._next(holdout=share)

    def variants_bundles(self) -> set[str]:
        """The bundles of running experiments."""
        running = (one for one in self.experiments if one.state == "running")
        return {variant.bundle_id for one in running for variant in one.variants if variant.bundle_id is not None}

    def _next(self, **changes: Any) -> "Control":
        return self.model_copy(update={"version": self.version + 1, **changes})

    def _trials_without(self, bundle_id: str) -> dict[str, Side | None]:
        sides = {"canary": self.canary, "shadow": self.shadow}
        return {kind: None if side and side.bundle_id == bundle_id else side for kind, side in sides.items()}


def control_state(store: SequenceStore) -> SharedDocument[Control]:
    """The decisions kept in a store."""
    return SharedDocument(store, "control", Control())
