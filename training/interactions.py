"""A log becomes checked interactions: typed, in order, without duplicates, k-core. Larger than memory is fine."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import ibis
from ibis import _
from ibis.expr.types import Table

from training import relations
from training.engines import Engine, Tables, tables_of
from training.items_file import describe_items, readable, rejected_items, write_items
from training.log_readers import Columns, LogFormat, detect_format, forget_log, log_files, read_log
from training.prepared import FORMAT_VERSION, ITEMS, MANIFEST, REJECTS, SEQUENCES, VOCABULARY, Holdout
from training.sequence_file import INTERACTIONS_AT_ONCE, USERS_AT_ONCE, write_sequences
from training.two_parts import write_two_parts

TIMED_FORMATS = ("csv", "parquet")  # in the others the place in the file is the time
TEMPORAL_QUANTILE = 0.9  # of the interactions' moments: where a temporal holdout cuts
ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996


@dataclass(frozen=True)
class PrepareOptions:
    """How to read a log. `event_types` empty: all types count. `core` 0 or 1: no k-core.

    `holdout`: each user's last items ("last"), the newest tenth of all interactions ("temporal"), or what is not among
    the `first` share of each user's interactions ("rest").
    `new_items`: items that only the items file has join the vocabulary.
    """

    format: LogFormat = "auto"
    columns: Columns = field(default_factory=Columns)
    event_types: tuple[str, ...] = ()
    core: int = 5
    holdout: Holdout = "last"
    first: float = 0.6
    new_items: bool = False
    max_bad_share: float = 0.01
    memory_limit: str = "4GB"

    def __post_init__(self) -> None:
        if not 0 < self.first < 1:
            raise ValueError(f"--first must lie between 0 and 1, got {self.first:g}")


def prepare(
    log: Path,
    out: Path,
    *,
    items: Path | None = None,
    options: PrepareOptions | None = None,
    overwrite: bool = False,
    engine: Engine = "duckdb",
) -> dict[str, Any]:
    """Write a prepared dataset to `out` and return its manifest; `out` appears whole or not at all.

    Every engine writes the same dataset.

    Raises ValueError when too many rows are bad (the rejects are then beside `out`), nothing is left, or `out`
    exists; FileNotFoundError for a missing log.
    """
    options = options or PrepareOptions()
    for path in (log, items):
        if path is not None and not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
    _check_target(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        manifest = _prepare(log, out, items, options, work, engine)
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1))
        if out.exists():
            shutil.rmtree(out)
        work.chmod(0o755)
        work.rename(out)
    except duckdb.OutOfMemoryException as error:
        raise ValueError(f"--memory-limit {options.memory_limit} is too little for {log.name}; give more") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _prepare(
    log: Path, out: Path, items: Path | None, options: PrepareOptions, work: Path, engine: Engine
) -> dict[str, Any]:
    database = work / "scratch.duckdb"
    with duckdb.connect(str(database)) as connection, tables_of(engine, connection, work) as tables:
        _set_up(connection, options.memory_limit, work / "spill")
        log_format = detect_format(log) if options.format == "auto" else options.format
        if options.holdout == "temporal" and log_format not in TIMED_FORMATS:
            raise ValueError(f"a temporal holdout needs timestamps: a log as CSV or Parquet, got {log.name}")
        with readable(log, log_format):
            read_log(connection, log, log_format, options.columns, work)
        interactions, counts = _check(connection, tables, options, has_time=log_format in TIMED_FORMATS)
        forget_log(connection)
        _refuse_bad_log(connection, counts, options, out)
        interactions, dropped = _core(tables, interactions, options.core)
        describe_items(connection, items)
        _write_sequences(tables, interactions, work, _before_cut(tables, interactions, options), options.new_items)
        _write_vocabulary(connection, work)
        if options.holdout == "rest":
            write_two_parts(connection, work)
        counts |= dropped | {"items_described": write_items(connection, work / ITEMS)}
        counts |= {"items_rejected": rejected_items(connection)}
        _write_rejects(connection, work / REJECTS)
        counts |= _sizes(connection, work)
    database.unlink()
    for folder in ("spill", "spark"):
        shutil.rmtree(work / folder, ignore_errors=True)
    return _manifest(log, out, items, options, counts)


def _set_up(connection: duckdb.DuckDBPyConnection, memory_limit: str, spill: Path) -> None:
    try:
        connection.execute("SET memory_limit = ?", [memory_limit])
    except duckdb.ParserException as error:
        raise ValueError(f"--memory-limit must be a size such as 4GB, got {memory_limit!r}") from error
    connection.execute("SET temp_directory = ?", [str(spill)])
    connection.execute("SET TimeZone = 'UTC'")


def _manifest(
    log: Path, out: Path, items: Path | None, options: PrepareOptions, counts: dict[str, Any]
) -> dict[str, Any]:
    """What was read and how. Raises ValueError when nothing is left of it."""
    if not counts["interactions"]:
        raise ValueError(f"{log.name}: nothing is left after the {options.core}-core; try a smaller --core")
    settings = asdict(options)
    for choice in ("holdout", "first", "new_items"):  # what was prepared before there was one keeps its fingerprint
        if getattr(options, choice) == getattr(PrepareOptions, choice):
            del settings[choice]
    return {
        "format_version": FORMAT_VERSION,
        "name": out.name,
        "source": log.name,
        "fingerprint": fingerprint([*log_files(log), *([items] if items else [])], settings),
        "options": settings,
        "counts": counts,
    }


def _check(
    connection: duckdb.DuckDBPyConnection, tables: Tables, options: PrepareOptions, *, has_time: bool
) -> tuple[Table, dict[str, Any]]:
    """Split `raw` into interactions and additions to `malformed`; drop exact duplicates and unwanted types."""
    raw = tables.taken("raw")
    malformed = _count(connection, "malformed")
    read = tables.value(raw.count()) + malformed
    if options.event_types:
        raw = raw.filter(_.type.isin(options.event_types))
    rows = relations.checked(raw, has_time=has_time)
    tables.keep("refused", relations.rejected(rows))
    tables.given("refused")
    connection.execute("INSERT INTO malformed FROM refused")
    rejected = _count(connection, "malformed")
    numbers = {name: tables.keep(f"{name}_numbers", table) for name, table in relations.numbered(raw).items()}
    interactions = tables.keep("interactions", relations.accepted(rows, numbers, has_time=has_time))
    duplicates = tables.value(raw.count()) - (rejected - malformed) - tables.value(interactions.count())
    return interactions, {"rows_read": int(read), "rejected": int(rejected), "duplicates": int(duplicates)}


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    found = connection.table(table).count("*").fetchone()
    return int(found[0]) if found else 0


def _refuse_bad_log(
    connection: duckdb.DuckDBPyConnection, counts: dict[str, Any], options: PrepareOptions, out: Path
) -> None:
    if counts["rows_read"] and counts["rejected"] / counts["rows_read"] <= options.max_bad_share:
        return
    if not counts["rows_read"]:
        raise ValueError("the log is empty")
    kept = out.with_name(f"{out.name}.rejects.csv")
    _write_rejects(connection, kept)
    raise ValueError(
        f"{counts['rejected']} of {counts['rows_read']} rows are bad, more than --max-bad-share "
        f"{options.max_bad_share:g}; see {kept}"
    )


def _write_rejects(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute("COPY (FROM malformed ORDER BY line, reason, text) TO ? (HEADER)", [str(path)])


def _core(tables: Tables, interactions: Table, core: int) -> tuple[Table, dict[str, Any]]:
    """Drop users and items with fewer than `core` interactions until none is left."""
    before = tables.value(interactions.count())
    rounds = 0
    while core > 1:
        counted = {name: tables.keep(f"{name}_seen", relations.seen(interactions, name)) for name in ("user", "item")}
        if all((tables.value(its.seen.min()) or core) >= core for its in counted.values()):
            break
        rounds += 1
        interactions = tables.keep("interactions", relations.frequent(interactions, counted, core))
    dropped = before - tables.value(interactions.count())
    return interactions, {"core_dropped": int(dropped), "core_rounds": rounds}


def _before_cut(tables: Tables, interactions: Table, options: PrepareOptions) -> Any:
    """Of a user's interactions, how many are before the cut; None without one."""
    if options.holdout == "last":
        return None
    if options.holdout == "rest":
        return (_.count() * options.first + ROUNDING).floor().cast("int64")
    cut = round(tables.value(interactions.microseconds.quantile(TEMPORAL_QUANTILE)) or 0)
    return (_.microseconds < cut).sum()


def _write_sequences(tables: Tables, interactions: Table, work: Path, before_cut: Any, new_items: bool) -> None:
    """Compute the vocabulary and the users; one row a user, in order of first appearance.

    With a cut: how many of a user's items are before it, and users without such items last.
    """
    more = tables.taken("described") if new_items else None
    numbers = tables.kept("item_numbers")
    vocabulary = tables.keep("vocabulary", relations.vocabulary(interactions, numbers, more))
    tables.given("vocabulary")
    every = ibis.literal(1, "int64") if before_cut is None else before_cut
    users = tables.keep("users", relations.users(interactions, tables.kept("user_numbers"), every))
    write_sequences(
        work / SEQUENCES,
        tables.batches(relations.in_order(users), USERS_AT_ONCE),
        tables.batches(relations.interactions_in_order(interactions, users, vocabulary), INTERACTIONS_AT_ONCE),
        with_cut=before_cut is not None,
    )


def _write_vocabulary(connection: duckdb.DuckDBPyConnection, work: Path) -> None:
    connection.execute(
        "COPY (SELECT item_row, item_id, count FROM vocabulary ORDER BY item_row) TO ? (FORMAT parquet)",
        [str(work / VOCABULARY)],
    )


def _sizes(connection: duckdb.DuckDBPyConnection, work: Path) -> dict[str, Any]:
    found = connection.execute(
        "SELECT (SELECT sum(count)::BIGINT FROM vocabulary), (SELECT count(*) FROM read_parquet(?)), "
        "(SELECT count(*) FROM vocabulary WHERE count > 0)",
        [str(work / SEQUENCES)],
    ).fetchone()
    interactions, users, items = found or (0, 0, 0)
    mean = interactions / users if users else 0.0
    return {"interactions": interactions or 0, "users": users, "items": items, "mean_length": round(mean, 2)}


def fingerprint(paths: list[Path], settings: dict[str, Any]) -> str:
    """SHA-256 over the bytes of the inputs and how they were read."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _check_target(out: Path, *, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not overwrite:
        raise ValueError(f"{out} exists; choose another --out or give --overwrite")
    if not (out / MANIFEST).is_file():
        raise ValueError(f"{out} is not a prepared dataset: it will not be overwritten")
