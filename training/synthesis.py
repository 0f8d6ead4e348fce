"""A log with planted intents, at any size, with the ground truth beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

Integers = NDArray[np.int64]
USERS_AT_ONCE = 10_000
SHORTEST = 5
LENGTH_SPREAD = 1.0  # sigma of the log-normal lengths: a heavy tail
FOLLOWS = 0.3  # chance that the next item of an intent is the successor of the one before
START = 1_735_689_600  # 2025-01-01T00:00:00Z
MEAN_GAP = 43_200  # seconds between two interactions of a user
MOST_MINOR = 3

THEMES = ("Running", "Baking", "Camping", "Gaming", "Painting", "Cycling", "Sewing", "Fishing", "Coffee", "Gardening")
KINDS = ("Outdoor", "Home", "Travel", "Studio", "Kids")
QUALITIES = ("Classic", "Light", "Compact", "Bright", "Sturdy", "Quiet", "Warm", "Swift", "Soft", "Prime")
THINGS = ("Set", "Kit", "Bag", "Guide", "Lamp", "Mat", "Jar", "Brush", "Cap", "Case")


@dataclass(frozen=True)
class SynthesisOptions:
    """How the log is made. Shares and chances are in [0, 1]."""

    users: int = 2000
    items: int = 1000
    intents: int = 20
    mean_length: float = 12.0
    dominant_share: float = 0.8  # of a user's interactions that serve the dominant intent
    item_noise: float = 0.05  # chance that an interaction hits an item of no particular intent
    popularity_exponent: float = 1.0  # Zipf, inside an intent
    drift: float = 0.0  # chance that the dominant intent changes half-way
    repeat_share: float = 0.0  # chance that an interaction repeats an earlier item of the user
    seed: int = 1

    def __post_init__(self) -> None:
        if not 2 <= self.intents <= self.items // 2:
            raise ValueError(f"intents must be from 2 to items / 2, got {self.intents} intents and {self.items} items")
        if self.users < 1 or self.mean_length < SHORTEST:
            raise ValueError(f"needs a user and a mean length of {SHORTEST} or more")
        for name in ("dominant_share", "item_noise", "drift", "repeat_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True)
class _World:
    """The items of each intent, most popular first, and the cumulative Zipf weights of their places."""

    intent_of_item: Integers  # (items)
    items_of_intent: Integers  # (intents, places)
    cumulative: NDArray[np.float64]  # (places)


def synthesize(out: Path, options: SynthesisOptions) -> dict[str, Any]:
    """Write interactions.csv, items.csv and truth/ into `out`, a chunk of users at a time -> counts."""
    (out / "truth").mkdir(parents=True, exist_ok=True)
    world = _world(options)
    _write_items(out, world, options)
    interactions = 0
    with (out / "interactions.csv").open("wb") as log, (out / "truth" / "user_intents.csv").open("wb") as truth:
        log.write(b"user_id,item_id,timestamp,type\n")
        truth.write(b"user_id,dominant_intent\n")
        starts = range(0, options.users, USERS_AT_ONCE)
        for start in track(starts, "synthesizing", console=Console(stderr=True), transient=True):
            users = np.arange(start, min(start + USERS_AT_ONCE, options.users))
            frame, dominant = _chunk(users, world, options)
            frame.write_csv(log, include_header=False)
            pl.DataFrame({"user_id": _names("user", users), "intent": dominant}).write_csv(truth, include_header=False)
            interactions += len(frame)
    return {"users": options.users, "items": options.items, "interactions": interactions}


def _world(options: SynthesisOptions) -> _World:
    """Deal the items out to the intents in equal parts."""
    generator = np.random.default_rng([options.seed, 0])
    places = options.items // options.intents
    dealt = generator.permutation(options.items)
    intent_of_item = np.empty(options.items, dtype=np.int64)
    intent_of_item[dealt] = np.arange(options.items) % options.intents
    items_of_intent = np.stack([dealt[intent :: options.intents][:places] for intent in range(options.intents)])
    weights = 1.0 / np.arange(1, places + 1) ** options.popularity_exponent
    return _World(intent_of_item, items_of_intent, np.cumsum(weights / weights.sum()))


def _chunk(users: Integers, world: _World, options: SynthesisOptions) -> tuple[pl.DataFrame, Integers]:
    """All interactions of some users. Seeded by the first user, so a chunk does not depend on the others."""
    generator = np.random.default_rng([options.seed, 1, int(users[0])])
    mu = np.log(max(options.mean_length - SHORTEST, 1e-3)) - LENGTH_SPREAD**2 / 2
    lengths = SHORTEST + np.floor(generator.lognormal(mu, LENGTH_SPREAD, len(users)) + 0.5).astype(np.int64)
    dominant = generator.integers(options.intents, size=len(users))
    owners = np.repeat(np.arange(len(users)), lengths)
    position = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    intents = _intents(generator, dominant, owners, position, lengths, options)
    items = _items(generator, intents, owners, position, world, options)
    gaps = 1 + generator.exponential(MEAN_GAP, len(owners)).astype(np.int64)
    first = START + generator.integers(0, 90 * 86_400, len(users))
    elapsed = np.cumsum(gaps)
    timestamps = first[owners] + elapsed - elapsed[np.repeat(np.cumsum(lengths) - lengths, lengths)]
    frame = pl.DataFrame(
        {"user_id": _names("user", users[owners]), "item_id": _names("item", items), "timestamp": timestamps}
    ).with_columns(type=pl.lit("click"))
    return frame, dominant


def _intents(
    generator: np.random.Generator,
    dominant: Integers,
    owners: Integers,
    position: Integers,
    lengths: Integers,
    options: SynthesisOptions,
) -> Integers:
    """The intent behind each interaction: the dominant one, else one of the user's few minor ones."""
    minor = (dominant[:, None] + generator.integers(1, options.intents, (len(dominant), MOST_MINOR))) % options.intents
    later = np.where(generator.random(len(dominant)) < options.drift, minor[:, 0], dominant)
    main = np.where(position * 2 >= lengths[owners], later[owners], dominant[owners])
    other = minor[owners, generator.integers(0, MOST_MINOR, len(owners))]
    return np.where(generator.random(len(owners)) < options.dominant_share, main, other)


def _items(
    generator: np.random.Generator,
    intents: Integers,
    owners: Integers,
    position: Integers,
    world: _World,
    options: SynthesisOptions,
) -> Integers:
    """An item for each interaction: Zipf inside the intent, at times the successor of the item before."""
    places = world.items_of_intent.shape[1]
    place = np.minimum(np.searchsorted(world.cumulative, generator.random(len(intents))), places - 1)
    continues = np.zeros(len(intents), dtype=bool)
    continues[1:] = (intents[1:] == intents[:-1]) & (owners[1:] == owners[:-1])
    follow = continues & (generator.random(len(intents)) < FOLLOWS)
    place[1:] = np.where(follow[1:], (place[:-1] + 1) % places, place[1:])
    items = world.items_of_intent[intents, place]
    noise = generator.random(len(items)) < options.item_noise
    items = np.where(noise, generator.integers(0, options.items, len(items)), items)
    back = np.minimum(1 + generator.integers(0, 5, len(items)), position)
    repeated = generator.random(len(items)) < options.repeat_share
    return np.where(repeated, items[np.arange(len(items)) - back], items)


def _write_items(out: Path, world: _World, options: SynthesisOptions) -> None:
    numbers = np.arange(options.items)
    themes = [_theme(int(intent)) for intent in world.intent_of_item]
    titles = [
        f"{QUALITIES[n % 10]} {theme} {THINGS[n // 10 % 10]} {n // 100 + 1}"
        for n, theme in zip(numbers, themes, strict=True)
    ]
    ids = _names("item", numbers)
    pl.DataFrame({"item_id": ids, "title": titles, "category": themes}).write_csv(out / "items.csv")
    pl.DataFrame({"item_id": ids, "intent": world.intent_of_item}).write_csv(out / "truth" / "item_intents.csv")


def _theme(intent: int) -> str:
    extra = intent // (len(THEMES) * len(KINDS))
    name = f"{KINDS[intent // len(THEMES) % len(KINDS)]} {THEMES[intent % len(THEMES)]}"
    return f"{name} {extra + 1}" if extra else name


def _names(prefix: str, numbers: Integers) -> pl.Series:
    return pl.select(pl.lit(f"{prefix}-") + pl.Series(numbers).cast(pl.String)).to_series()
