"""Runbooks for the store: another password, a user erased everywhere, a backup and its restoration."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import orjson
from asking import ask_once
from harm import Harm, Metrics, Scene, port_of
from redis import Redis
from redis_process import RedisProcess
from serving import BIN
from serving_speed import HERE, Running
from store_load import LOG

from service.event_log.entries import LoggedEvent
from service.event_log.files import EventFiles

USERS = 50_000  # who are stored beside the crowd
LOGGED, LOGGED_A_SECOND = 45_000, 1500  # events in a file: 30 s
AFTER_BACKUP = 15.0  # seconds of events that no backup holds; workers erase again whom they erased 12 s before or less
OK = 200
RULES = re.search(r"^user intently .*$", (HERE.parent / "docs/stores.md").read_text(), re.MULTILINE)


async def password_rotated(scene: Scene) -> Metrics:
    """A second password, the file that new connections read, every connection closed, the first password withdrawn."""
    password = scene.folder / "password"
    password.write_text("first")
    assert RULES, "docs/stores.md must show the ACL line"
    _, _, *rules = RULES[0].replace(">PASSWORD", ">first").split()
    with scene.redis() as redis, Redis(port=redis.port) as operator:
        operator.execute_command("ACL", "SETUSER", "intently", *rules)
        store = redis.url.replace("//", "//intently@")
        async with scene.service(store, INTENTLY_STORE_PASSWORD_FILE=str(password)) as server:
            harm = Harm(scene.crowd(server))
            async with harm.watched(), harm.lasting(0):
                operator.execute_command("ACL", "SETUSER", "intently", ">second")
                password.write_text("second")
                operator.execute_command("ACL", "SETUSER", "intently", "<first")
                closed = operator.execute_command("CLIENT", "KILL", "USER", "intently")
            return await harm.metrics() | {"connections closed": float(closed)}


async def erased(scene: Scene) -> Metrics:
    """From the store, from the event log's files, and from the append-only file once it is rewritten."""
    events, kept = scene.folder / "events", scene.folder / "redis"
    with scene.redis() as redis:
        async with scene.service(redis.url, "--events", str(events)) as server:
            harm = Harm(scene.crowd(server))
            await _post(server, "gone", 3)
            await _until_logged(events, "gone", 3)
            async with harm.watched(), harm.lasting(0):
                at_once = await _erase(server, "gone")
                from_files = await _until_logged(events, "gone", 0)
                before = _mentions(kept, b"{gone}")
                rewritten = await _timed(lambda: _rewrite(redis))
            return await harm.metrics() | {
                "stored after the answer": at_once,
                "gone from the files, s": from_files,
                "in the append-only file": float(before),
                "its rewrite, s": rewritten,
                "in it after the rewrite": float(_mentions(kept, b"{gone}")),
            }


async def restored(scene: Scene) -> Metrics:
    """A snapshot; a user is erased, events go on; all of Redis is lost; then snapshot, event log, erasure again."""
    events, snapshot = scene.folder / "events", scene.folder / "backup.rdb"
    with scene.redis() as redis:
        found = {"users": float(USERS), "filled from a log, s": fill(scene.folder / "before", redis.url)}
        async with scene.service(redis.url, "--events", str(events), INTENTLY_EVENTS_SECONDS="1") as server:
            harm = Harm(scene.crowd(server))
            await _post(server, "gone", 3)
            async with harm.watched():
                found["snapshot, s"] = await _timed(lambda: _redis_cli(redis, "--rdb", str(snapshot)))
                await _erase(server, "gone")
                await asyncio.sleep(AFTER_BACKUP)
                async with harm.lasting(0):
                    await asyncio.to_thread(lambda: (redis.kill(), redis.wipe()))
                    found["Redis answers from it, s"] = await _timed(lambda: redis.start_from(snapshot))
                    _redis_cli(redis, "del", "intently:log", "intently:shared:beginning")
                    found["event log loaded, s"] = await _timed(lambda: load(events, redis.url))
                    found["events of the erased user in the snapshot"] = await _stored(server, "gone")
                    found["after erasing again"] = await _erase(server, "gone")
            return await harm.metrics() | found | _sizes(scene.folder, snapshot)


def _sizes(folder: Path, snapshot: Path) -> Metrics:
    """Of what is backed up. Events as they come, whose ids no compression helps, in a file as the service writes it."""
    moments = (1.8e9 + at / LOGGED_A_SECOND for at in range(LOGGED))
    events = [
        LoggedEvent(
            os.urandom(32).hex(), f"u{at * 7919 % USERS:09}", f"B{at * 104729 % 12_000:09}", "view", moment, None, None,
            moment,
        )
        for at, moment in enumerate(moments)
    ]  # fmt: skip
    [file] = EventFiles(folder / "sized").add(events, "one")
    size = snapshot.stat().st_size
    return {"snapshot, MB": size / 1e6, "event log, bytes an event": file.stat().st_size / LOGGED}


def fill(folder: Path, store: str) -> float:
    """Seconds in which `intently-serve load` stores USERS with 50 events each."""
    folder.mkdir()
    duckdb.execute(LOG, [USERS, str(folder / "events.parquet")])
    began = time.perf_counter()
    load(folder, store)
    return time.perf_counter() - began


def load(events: Path, store: str) -> None:
    """`intently-serve load`."""
    subprocess.run([BIN / "intently-serve", "load", events, "--store", store], check=True, capture_output=True)


def _redis_cli(redis: RedisProcess, *words: str) -> None:
    subprocess.run(["redis-cli", "-e", "-p", str(redis.port), *words], check=True, capture_output=True)


def _rewrite(redis: RedisProcess) -> None:
    _redis_cli(redis, "bgrewriteaof")
    with Redis(port=redis.port) as operator:
        while operator.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)


def _mentions(folder: Path, word: bytes) -> int:
    """How many files below it hold the word."""
    return sum(word in path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def _until_logged(events: Path, user: str, count: int) -> float:
    """Seconds until the event log's files hold so many events of a user."""
    began, query = time.perf_counter(), "SELECT count(*) FROM read_parquet($1) WHERE user_id = $2"
    while True:
        files = [str(path) for path in events.glob("day=*/[!.]*.parquet")]
        if files and duckdb.execute(query, [files, user]).fetchall() == [(count,)]:
            return time.perf_counter() - began
        await asyncio.sleep(0.5)


async def _erase(server: Running, user: str) -> float:
    """-> how many events are stored once that is answered."""
    assert (await ask_once(port_of(server), "DELETE", f"/v1/users/{user}")).status == OK
    return await _stored(server, user)


async def _stored(server: Running, user: str) -> float:
    reply = await ask_once(port_of(server), "GET", f"/v1/users/{user}")
    return float(len(orjson.loads(reply.body)["interactions"]))


async def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    await asyncio.to_thread(work)
    return time.perf_counter() - began


async def _post(server: Running, user: str, count: int) -> None:
    events = [{"user_id": user, "item_id": f"{user}-{at}", "timestamp": time.time() - at} for at in range(count)]
    reply = await ask_once(port_of(server), "POST", "/v1/events", orjson.dumps({"events": events}))
    assert reply.status == OK
