"""Which variants a user gets: pure, the same in every worker and in any language (docs/conformance)."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

from service.experiments.activity import UserGroup
from service.experiments.declarations import Experiment
from service.experiments.hashing import BUCKETS, bucket
from service.fields import as_text

HOLDOUT = "holdout"  # the salts that are not drawn: of the hold-out, and before a layer's name
LAYER = "layer:"


@dataclass(frozen=True, eq=False, slots=True)
class Assigned:
    """A variant of a running experiment, as those who get it are answered."""

    experiment: str
    phase: int
    variant: str
    tester: bool  # listed, not drawn
    bundle_id: str | None
    compares_bundles: bool  # whether any variant of the experiment names a bundle
    options: Mapping[str, Any]
    json: bytes  # what the answer says of it: `"experiment":"a","variant":"b"`
    exposed: bytes  # what its exposures say of it


class Assignments:
    """The running experiments of a control state, made ready to be asked thousands of times a second."""

    def __init__(self, experiments: Sequence[Experiment], holdout: float = 0.0) -> None:
        """`holdout`: share of all users who are in no experiment."""
        running = [one for one in experiments if one.state == "running"]
        self._holdout = round(holdout * BUCKETS)
        self._layers = [_Layer(name, running) for name in dict.fromkeys(one.layer for one in running)]
        self.any = bool(running)

    def assign(
        self, user_id: str, group: UserGroup | None = None, attributes: Mapping[str, Any] = {}
    ) -> tuple[Assigned, ...]:
        """At most one a layer, the layers in the order of their first experiments.

        `group` is None where it cannot be known; then nobody is in an experiment that asks for one.
        """
        held_out = self._holdout > 0 and bucket(HOLDOUT, user_id) < self._holdout
        found = []
        for layer in self._layers:
            its = layer.testers.get(user_id)
            if its is None and not held_out:
                its = layer.drawn(user_id, group, attributes)
            if its is not None:
                found.append(its)
        return tuple(found)


class _Layer:
    """Each bucket of a layer belongs to one experiment or to none; a tester's first list counts."""

    def __init__(self, name: str, running: Sequence[Experiment]) -> None:
        self._salt = LAYER + name
        self._owners: list[_Draw | None] = [None] * BUCKETS
        self.testers: dict[str, Assigned] = {}
        for experiment in (one for one in running if one.layer == name):
            draw = _Draw(experiment)
            for start, stop in experiment.buckets:
                self._owners[start:stop] = [draw] * (stop - start)
            for variant, users in experiment.testers.items():
                self.testers = dict.fromkeys(users, _assigned(experiment, variant, tester=True)) | self.testers

    def drawn(self, user_id: str, group: UserGroup | None, attributes: Mapping[str, Any]) -> Assigned | None:
        owner = self._owners[bucket(self._salt, user_id)]
        return None if owner is None or not owner.lets_in(group, attributes) else owner.variant(user_id)


class _Draw:
    """One experiment: whom it lets in, and who of them gets which variant."""

    def __init__(self, experiment: Experiment) -> None:
        phase = experiment.phases[-1]
        self._salt = f"{experiment.name}:{phase.salt}"
        self._below = list(accumulate(phase.weights))
        self._variants = [_assigned(experiment, variant.name, tester=False) for variant in experiment.variants]
        targeting = experiment.targeting
        self._groups = targeting.user_groups
        self._attributes = [(name, frozenset(map(as_text, its))) for name, its in targeting.attributes.items()]

    def lets_in(self, group: UserGroup | None, attributes: Mapping[str, Any]) -> bool:
        if self._groups is not None and group not in self._groups:
            return False
        for name, wanted in self._attributes:
            value = attributes.get(name)
            if not isinstance(value, str | int | float) or as_text(value) not in wanted:
                return False
        return True

    def variant(self, user_id: str) -> Assigned:
        return self._variants[bisect_right(self._below, bucket(self._salt, user_id))]


def _assigned(experiment: Experiment, name: str, *, tester: bool) -> Assigned:
    variant = next(one for one in experiment.variants if one.name == name)
    said = orjson.dumps({"experiment": experiment.name, "variant": name})[1:-1]
    phase, compares = experiment.phases[-1].number, "bundle_id" in experiment.settings()
    options = variant.options.given()
    exposed = orjson.dumps({"experiment": experiment.name, "phase": phase, "variant": name, "tester": tester})
    return Assigned(experiment.name, phase, name, tester, variant.bundle_id, compares, options, said, exposed)
