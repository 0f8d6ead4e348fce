"""draft -> running -> stopped: each change makes a new list of experiments of the one before, or is refused."""

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from service.errors import ConflictError, UnknownExperimentError
from service.experiments.declarations import DAY_SECONDS, Buckets, Declaration, Experiment, Phase, check_weights
from service.experiments.hashing import BUCKETS

MOST = 100  # experiments that are kept
Experiments = tuple[Experiment, ...]
Change = Callable[[Experiments], Experiments]


def find(experiments: Experiments, name: str) -> Experiment:
    """Raises UnknownExperimentError."""
    found = next((one for one in experiments if one.name == name), None)
    if found is None:
        raise UnknownExperimentError(name, [one.name for one in experiments])
    return found


def created(experiments: Experiments, declaration: Declaration) -> Experiments:
    """With a draft of it. Raises ConflictError."""
    if any(one.name == declaration.name for one in experiments):
        raise ConflictError(f"there is an experiment {declaration.name!r} already: take another name, or delete it")
    if len(experiments) >= MOST:
        raise ConflictError(f"there are {MOST} experiments: delete some that are stopped")
    return (*experiments, Experiment(**dict(declaration)))


def started(experiments: Experiments, name: str, share: float, now: float) -> Experiments:
    """A draft or a stopped one runs, in a new phase, on that share of its layer. Raises ConflictError."""
    its = _in(experiments, name, "draft", "stopped")
    for other in (one for one in experiments if one.state == "running" and one.layer != its.layer):
        if both := sorted(its.settings() & other.settings()):
            raise ConflictError(
                f"{name!r} and {other.name!r}, which runs in the layer {other.layer!r}, both set {', '.join(both)}: "
                "declare it in that layer, or stop the other"
            )
    weights = tuple(variant.weight for variant in its.variants)
    running = {"state": "running", "phases": _with_phase(its, weights, now)}
    return _replaced(experiments, its, **running, buckets=_grown(experiments, its, (), share))


def ramped(experiments: Experiments, name: str, share: float) -> Experiments:
    """More of the layer's users, and all who were in it. Raises ConflictError for fewer."""
    its = _in(experiments, name, "running")
    if round(share * BUCKETS) < _count(its.buckets):
        raise ConflictError(
            f"{name!r} has {its.share:g} of its layer, and a ramp only grows: begin a new phase for a share of "
            f"{share:g}, which draws the variants anew"
        )
    return _replaced(experiments, its, buckets=_grown(experiments, its, its.buckets, share))


def rephased(
    experiments: Experiments, name: str, share: float | None, weights: dict[str, int], now: float
) -> Experiments:
    """A new phase: every user draws a variant anew, by these weights where some are given. Raises ConflictError."""
    its = _in(experiments, name, "running")
    names = [variant.name for variant in its.variants]
    if weights and weights.keys() != set(names):
        raise ConflictError(f"wanted a weight for each of {', '.join(names)}, found {', '.join(sorted(weights))}")
    drawn = tuple(weights[one] for one in names) if weights else its.phases[-1].weights
    try:
        check_weights(drawn)
    except ValueError as error:
        raise ConflictError(str(error)) from error
    wanted = its.share if share is None else share
    kept = _first(its.buckets, round(wanted * BUCKETS))
    buckets = _grown(experiments, its, kept, wanted)
    return _replaced(experiments, its, phases=_with_phase(its, drawn, now), buckets=buckets)


def stopped(experiments: Experiments, name: str, now: float) -> Experiments:
    """Nobody is in it, and its buckets are free. Raises ConflictError."""
    its = _in(experiments, name, "running")
    return _replaced(experiments, its, state="stopped", phases=_ended(its, now), buckets=())


def deleted(experiments: Experiments, name: str) -> Experiments:
    """Without a draft or a stopped one; its exposures stay in their files. Raises ConflictError."""
    its = _in(experiments, name, "draft", "stopped")
    return tuple(one for one in experiments if one is not its)


def _in(experiments: Experiments, name: str, *states: str) -> Experiment:
    its = find(experiments, name)
    if its.state not in states:
        raise ConflictError(f"{name!r} is {its.state}, and this is done to one that is {' or '.join(states)}")
    return its


def _replaced(experiments: Experiments, its: Experiment, **changes: Any) -> Experiments:
    return tuple(one.model_copy(update=changes) if one is its else one for one in experiments)


def _with_phase(its: Experiment, weights: tuple[int, ...], now: float) -> tuple[Phase, ...]:
    number, salt = len(its.phases) + 1, secrets.token_hex(8)
    ends = now + its.days * DAY_SECONDS
    return (*_ended(its, now), Phase(number=number, salt=salt, weights=weights, started=now, ends=ends))


def _ended(its: Experiment, now: float) -> tuple[Phase, ...]:
    if not its.phases or its.phases[-1].ended is not None:
        return its.phases
    return (*its.phases[:-1], its.phases[-1].model_copy(update={"ended": now}))


def _grown(experiments: Experiments, its: Experiment, kept: Buckets, share: float) -> Buckets:
    """`kept` and as many of the layer's free buckets as the share needs, the lowest first. Raises ConflictError."""
    others = [one for one in experiments if one.layer == its.layer and one is not its]
    held = {number for one in others for number in _numbers(one.buckets)}
    own = set(_numbers(kept))
    free = sorted(set(range(BUCKETS)) - held - own)
    more = round(share * BUCKETS) - len(own)
    if more > len(free):
        holders = ", ".join(repr(one.name) for one in others if one.buckets) or "nobody else"
        raise ConflictError(
            f"the layer {its.layer!r} has room for a share of {(len(free) + len(own)) / BUCKETS:g}, and {share:g} is "
            f"asked; {holders} has the rest"
        )
    return _ranges(sorted(own.union(free[:more])))


def _numbers(buckets: Buckets) -> Iterable[int]:
    return (number for start, stop in buckets for number in range(start, stop))


def _count(buckets: Buckets) -> int:
    return sum(stop - start for start, stop in buckets)


def _first(buckets: Buckets, count: int) -> Buckets:
    return _ranges(sorted(_numbers(buckets))[:count])


def _ranges(numbers: list[int]) -> Buckets:
    """Ascending numbers as ranges.

    >>> _ranges([0, 1, 2, 7])
    ((0, 3), (7, 8))
    """
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return tuple(ranges)
