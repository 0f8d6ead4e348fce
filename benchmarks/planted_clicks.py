"""Users of a service whose clicks are planted: what a click hangs on differs by user group, and intents drift.

A user has a planted sequence (training.synthesis, whose dominant intent changes half-way for some) and enters the
service with a part of it stored. Before each visit the next item of the sequence happens; at the visit the first stage
shows its 20 best items, or, to a fifth of the visitors, 20 of its 100 best in any order: what is never shown cannot be
learned. An item is attractive with a chance that depends on whether it serves the intents of the user's *next*
planted items, on its popularity and on the channel of the request, with weights of the user's group; it is clicked
where it is attractive and looked at (place p: p^-bias), and a click converts with a chance of the group.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from service.bundle.files import Bundle
from service.engine import Engine
from service.inference.ranker import Context
from service.question import Question
from service.telemetry import Stages

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
GROUPS = ("pure_new", "new", "low", "medium", "high")
MOST = (0, 5, 20, 50, 150)  # stored events when a user enters
# group -> base, weight of the next intent, of log popularity (standardised), of the channel, base of a conversion
CLICKS = {
    "pure_new": (-3.0, 0.5, 0.8, 1.5, -2.0),
    "new": (-2.9, 1.0, 0.6, 1.0, -1.8),
    "low": (-2.8, 1.6, 0.3, 0.5, -1.5),
    "medium": (-2.7, 2.2, 0.0, 0.2, -1.2),
    "high": (-2.6, 2.8, -0.5, 0.0, -1.0),
}
CHANNELS = ("app", "web", "mail")  # channel c promotes the items of every third intent, from c
CONVERTS = 1.0  # weight of the next intent for a conversion
BIAS, SHOWN, VISITS, DAYS, NEXT = 0.7, 20, 2, 6, 5
EXPLORED, CANDIDATES = 0.2, 100
DAY, START = 86_400, 1_767_225_600  # 2026-01-01
AT_ONCE = 64


@dataclass(frozen=True)
class World:
    """Items by row (V + 1, row 0 is none), and the planted sequences of users, in rows."""

    intents: Integers
    popularity: Floats  # log, standardised
    item_ids: list[str]
    sequences: dict[str, Integers]


@dataclass
class User:
    """One user on the way through the service."""

    user_id: str
    sequence: Integers  # planted
    reached: int  # how much of it has happened
    day: int
    history: list[tuple[float, int, str, str | None]] = field(default_factory=list)  # time, row, type, recommendation


@dataclass(frozen=True)
class Visit:
    """A list that was shown, and the truth about it."""

    user: User
    group: str
    stored: tuple[int, ...]  # rows
    context: Context
    rows: Integers
    attractive: Floats  # chances
    converts: Floats
    clicked: NDArray[np.bool_]
    converted: NDArray[np.bool_]
    recommendation_id: str
    reached: int  # of the planted sequence


def group_of(stored: int) -> str:
    """The user group of so many stored events."""
    return GROUPS[int(np.searchsorted(MOST[:-1], stored, side="left"))]


def read_world(folder: Path, bundle: Bundle, user_ids: Sequence[str]) -> World:
    """The planted log in `folder`, in the rows of a bundle; items that the bundle lacks are left out."""
    rows = {item.item_id: row for row, item in enumerate(bundle.items, start=1)}
    truth = dict(pl.read_csv(folder / "truth/item_intents.csv").iter_rows())
    intents = np.array([-1, *(truth[item.item_id] for item in bundle.items)])
    log = pl.read_csv(folder / "interactions.csv").filter(pl.col("user_id").is_in(list(user_ids)))
    grouped = log.sort("timestamp").group_by("user_id", maintain_order=True).agg("item_id")
    sequences = {
        user: np.array([rows[item] for item in items if item in rows], dtype=np.int64)
        for user, items in grouped.iter_rows()
    }
    counts = np.log1p(np.append(0, bundle.popularity).astype(np.float64))
    standard = (counts - counts[1:].mean()) / counts[1:].std()
    return World(intents, standard, [item.item_id for item in bundle.items], sequences)


def enter(world: World, generator: np.random.Generator) -> list[User]:
    """Every user with so much stored that the groups are alike in size, where sequences are long enough."""
    users = []
    for number, (user_id, sequence) in enumerate(world.sequences.items()):
        room = len(sequence) - VISITS - NEXT
        group = number % len(GROUPS)
        while group > 0 and MOST[group - 1] + 1 > room:
            group -= 1
        low = 0 if group == 0 else MOST[group - 1] + 1
        stored = int(generator.integers(low, min(MOST[group], max(room, 0)) + 1))
        if room >= 0:
            users.append(User(user_id, sequence, stored, int(generator.integers(DAYS))))
    for user in users:
        past = START - DAY * (1 + np.sort(generator.random(user.reached))[::-1] * 30)
        rows = user.sequence[: user.reached].tolist()
        user.history += [(float(time), row, "interaction", None) for time, row in zip(past, rows, strict=True)]
    return users


def visits(world: World, users: list[User], engine: Engine, generator: np.random.Generator) -> list[Visit]:
    """All visits of all users, in order; what is clicked is in the history of the next."""
    found: list[Visit] = []
    for number in range(VISITS):
        users = [user for user in users if user.day + number < DAYS]
        hours = generator.random(len(users)) * DAY
        times = [START + DAY * (user.day + number) + float(hour) for user, hour in zip(users, hours, strict=True)]
        for user, time in zip(users, times, strict=True):
            if user.history or number:  # the pure new come with nothing
                happened = (time - 60, int(user.sequence[user.reached]), "interaction", None)
                user.history.append(happened)
                user.reached += 1
        for start in range(0, len(users), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            found += [
                _visit(world, *one, generator) for one in _lists(world, users[some], times[some], engine, generator)
            ]
    return found


def _lists(
    world: World, users: Sequence[User], times: Sequence[float], engine: Engine, generator: np.random.Generator
) -> list[tuple[User, Context, Integers]]:
    """What is shown."""
    histories = [[world.item_ids[row - 1] for _, row, _, _ in user.history] for user in users]
    answers = engine.recommend(
        [Question(history=one, k=CANDIDATES, seen=one) for one in histories], Stages(observed=False)
    )
    channels = generator.choice(CHANNELS, len(users))
    shown = [_shown(answer.ranking.rows, generator) for answer in answers]
    return [
        (user, Context(len(history), {"channel": str(channel)}, time), rows)
        for user, history, channel, time, rows in zip(users, histories, channels, times, shown, strict=True)
    ]


def _shown(candidates: Integers, generator: np.random.Generator) -> Integers:
    """The best, or some of all in any order."""
    explored = generator.random() < EXPLORED
    return generator.permutation(candidates)[:SHOWN] if explored else candidates[:SHOWN]


def _visit(world: World, user: User, context: Context, rows: Integers, generator: np.random.Generator) -> Visit:
    """Look, click, convert; clicks and conversions enter the history."""
    group = group_of(context.stored_events)
    stored = tuple(row for _, row, _, _ in user.history)
    attractive, converts = chances(world, user, group, context, rows)
    clicked = generator.random(len(rows)) < attractive * seen(len(rows))
    converted = clicked & (generator.random(len(rows)) < converts)
    identity = f"{user.user_id}-{context.timestamp:.0f}"
    for place in np.flatnonzero(clicked):
        event = (context.timestamp + 30 + float(place), int(rows[place]))
        user.history.append((*event, "click", identity))
        if converted[place]:
            user.history.append((event[0] + 0.5, event[1], "conversion", identity))
    return Visit(user, group, stored, context, rows, attractive, converts, clicked, converted, identity, user.reached)


def chances(world: World, user: User, group: str, context: Context, rows: Integers) -> tuple[Floats, Floats]:
    """Of items (N): to be clicked when looked at, and to convert then."""
    base, intent, popular, channel, conversion = CLICKS[group]
    upcoming = world.intents[user.sequence[user.reached : user.reached + NEXT]]
    serves = (world.intents[rows][:, None] == upcoming).mean(axis=1)
    promoted = world.intents[rows] % len(CHANNELS) == CHANNELS.index(context.attributes["channel"])
    attractive = logistic(base + intent * serves + popular * world.popularity[rows] + channel * promoted)
    return attractive, logistic(conversion + CONVERTS * serves)


def seen(places: int) -> Floats:
    """How likely each place is looked at."""
    return np.arange(1.0, places + 1) ** -BIAS


def logistic(values: Floats) -> Floats:
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-values))


def write_log(world: World, found: Sequence[Visit], directory: Path) -> None:
    """Events and exposures as the service writes them, a file a day of exposures and one of events."""
    events = []
    for user in {id(visit.user): visit.user for visit in found}.values():
        for number, (time, row, kind, recommendation) in enumerate(user.history):
            identity = (f"{user.user_id}-{number}", user.user_id, world.item_ids[row - 1])
            events.append((*identity, kind, time, None, recommendation, time))
    columns = ("event_id", "user_id", "item_id", "type", "timestamp", "value", "recommendation_id", "received")
    schema = {name: pl.Float64 if name in ("timestamp", "value", "received") else pl.String for name in columns}
    (directory / "day=2026-01-01").mkdir(parents=True)
    pl.DataFrame(events, schema=schema, orient="row").write_parquet(directory / "day=2026-01-01/planted.parquet")
    folder = directory / "exposures/experiment=planted/day=2026-01-01"
    folder.mkdir(parents=True)
    pl.DataFrame([_exposure(world, visit) for visit in found]).cast(
        {"degraded": pl.String, "phase": pl.Int32, "stored_events": pl.Int32}
    ).write_parquet(folder / "planted.parquet")


def _exposure(world: World, visit: Visit) -> dict[str, object]:
    return {
        "recommendation_id": visit.recommendation_id,
        "experiment": "planted",
        "phase": 1,
        "variant": "control",
        "tester": False,
        "user_id": visit.user.user_id,
        "user_group": visit.group,
        "stored_events": visit.context.stored_events,
        "attributes": json.dumps(visit.context.attributes),
        "bundle_id": "planted",
        "source": "model" if visit.stored else "popular",
        "degraded": None,
        "items": [world.item_ids[row - 1] for row in visit.rows],
        "scores": [0.0] * len(visit.rows),
        "timestamp": visit.context.timestamp,
        "received": visit.context.timestamp,
    }
