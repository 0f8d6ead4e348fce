"""What every part of a replay works with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.client import Client
from service.experiments.answers import ExperimentAnswer
from service.replay.clicks import ClickModel
from service.replay.held_out import Span, Step

Users = Mapping[str, Sequence[Step]]


@dataclass(frozen=True)
class Setting:
    """One service, one experiment, one kind of user; lists of k items are asked for."""

    client: Client
    experiment: ExperimentAnswer
    span: Span
    model: ClickModel
    seed: int = 1
    k: int = 20
