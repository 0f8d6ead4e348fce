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
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from training.items_file import describe_items, write_items
from training.log_readers import Columns, LogFormat, detect_format, log_files, read_log
from training.prepared import FORMAT_VERSION, ITEMS, MANIFEST, REJECTS, SEQUENCES, VOCABULARY, Holdout
from training.two_parts import write_two_parts

TIMED_FORMATS = ("csv", "parquet")  # in the others the place in the file is the time
TEMPORAL_QUANTILE = 0.9  # of the interactions' moments: where a temporal holdout cuts
ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996
LONGEST_ID = 256  # characters; what the service takes


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
    log: Path, out: Path, *, items: Path | None = None, options: PrepareOptions | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Write a prepared dataset to `out` and return its manifest; `out` appears whole or not at all.

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
        manifest = _prepare(log, out, items, options, work)
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1))
        if out.exists():
            shutil.rmtree(out)
        work.chmod(0o755)
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _prepare(log: Path, out: Path, items: Path | None, options: PrepareOptions, work: Path) -> dict[str, Any]:
    database = work / "scratch.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"SET memory_limit = '{options.memory_limit}'")
        connection.execute(f"SET temp_directory = '{work / 'spill'}'")
        connection.execute("SET TimeZone = 'UTC'")
        log_format = detect_format(log) if options.format == "auto" else options.format
        if options.holdout == "temporal" and log_format not in TIMED_FORMATS:
            raise ValueError(f"a temporal holdout needs timestamps: a log as CSV or Parquet, got {log.name}")
        read_log(connection, log, log_format, options.columns)
        tables = ibis.duckdb.from_connection(connection)
        counts = _check(tables, options, has_time=log_format in TIMED_FORMATS)
        _refuse_bad_log(connection, counts, options, out)
        counts |= _core(tables, options.core)
        describe_items(connection, items)
        _write_sequences(connection, tables, work, _before_cut(tables, options), new_items=options.new_items)
        if options.holdout == "rest":
            write_two_parts(connection, work)
        counts["items_described"] = write_items(connection, work / ITEMS)
        connection.execute("COPY (FROM malformed ORDER BY line) TO ? (HEADER)", [str(work / REJECTS)])
        counts |= _sizes(connection)
    database.unlink()
    shutil.rmtree(work / "spill", ignore_errors=True)
    return _manifest(log, out, items, options, counts)


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


def _check(tables: Backend, options: PrepareOptions, *, has_time: bool) -> dict[str, Any]:
    """Split `raw` into `interactions` and additions to `malformed`; drop exact duplicates and unwanted types."""
    raw = tables.table("raw")
    read = raw.count().to_pyarrow().as_py() + tables.table("malformed").count().to_pyarrow().as_py()
    if options.event_types:
        raw = raw.filter(_.type.isin(options.event_types))
    seconds = _.timestamp.try_cast("float64")
    parsed = _.timestamp.try_cast("timestamp('UTC')")
    numbers = ibis.or_(_.timestamp.isnull(), seconds.notnull())
    checked = raw.mutate(
        seconds=seconds,
        microseconds=ibis.ifelse(numbers, (seconds * 1e6).round().cast("int64"), _epoch_us(parsed)),
        reason=_reason(has_time, seconds, parsed),
    )
    tables.create_table("checked", checked)
    checked = tables.table("checked")
    bad = checked.filter(_.reason.notnull())
    text = bad.user_id.fill_null("") + "," + bad.item_id.fill_null("") + "," + bad.timestamp.fill_null("")
    tables.insert("malformed", bad.select(line=_.line, reason=_.reason, text=text))
    good = checked.filter(_.reason.isnull())
    found = good.count().to_pyarrow().as_py()
    if has_time:  # an exact repeat of a timed event is one event; in the text formats a repeat is a repeat purchase
        key = [good.user_id, good.item_id, good.microseconds, good.type]
        good = good.mutate(copy=ibis.row_number().over(group_by=key, order_by=good.line)).filter(_.copy == 0)
    tables.create_table("interactions", good.select("line", "position", "user_id", "item_id", "microseconds"))
    kept = tables.table("interactions").count().to_pyarrow().as_py()
    rejected = tables.table("malformed").count().to_pyarrow().as_py()
    return {"rows_read": int(read), "rejected": int(rejected), "duplicates": int(found - kept)}


@ibis.udf.scalar.builtin(name="epoch_us")  # type: ignore[untyped-decorator]
def _epoch_us(moment: ibis.dtype("timestamp('UTC')")) -> int:  # type: ignore[valid-type, empty-body]
    """DuckDB's microseconds since 1970."""


def _reason(has_time: bool, seconds: Any, parsed: Any) -> Any:
    """Why a row is refused, or NULL."""
    branches = [
        (_.user_id.isnull() | (_.user_id == ""), "user_id is empty"),
        (_.item_id.isnull() | (_.item_id == ""), "item_id is empty"),
        (_.user_id.length() > LONGEST_ID, f"user_id is longer than {LONGEST_ID} characters"),
        (_.item_id.length() > LONGEST_ID, f"item_id is longer than {LONGEST_ID} characters"),
    ]
    if has_time:
        branches.append((_.timestamp.isnull(), "timestamp is empty"))
        wrong = seconds.isnull() & parsed.isnull()
        branches.append((wrong, "timestamp is neither Unix seconds nor RFC 3339"))
        branches.append(((seconds < 0) | (seconds > 2**53 / 1e6) | seconds.isnan(), "timestamp is out of range"))
    return ibis.cases(*branches, else_=ibis.null("string"))


def _refuse_bad_log(
    connection: duckdb.DuckDBPyConnection, counts: dict[str, Any], options: PrepareOptions, out: Path
) -> None:
    if counts["rows_read"] and counts["rejected"] / counts["rows_read"] <= options.max_bad_share:
        return
    if not counts["rows_read"]:
        raise ValueError("the log is empty")
    kept = out.with_name(f"{out.name}.rejects.csv")
    connection.execute("COPY (FROM malformed ORDER BY line) TO ? (HEADER)", [str(kept)])
    raise ValueError(
        f"{counts['rejected']} of {counts['rows_read']} rows are bad, more than --max-bad-share "
        f"{options.max_bad_share:g}; see {kept}"
    )


def _core(tables: Backend, core: int) -> dict[str, Any]:
    """Drop users and items with fewer than `core` interactions until none is left."""
    before = tables.table("interactions").count().to_pyarrow().as_py()
    rounds, size = 0, before
    while core > 1:
        current: Table = tables.table("interactions")
        current = current.mutate(
            of_user=_.count().over(group_by=current.user_id), of_item=_.count().over(group_by=current.item_id)
        ).filter((_.of_user >= core) & (_.of_item >= core))
        tables.create_table("interactions", current.drop("of_user", "of_item"), overwrite=True)
        remaining = tables.table("interactions").count().to_pyarrow().as_py()
        if remaining == size:
            break
        rounds, size = rounds + 1, remaining
    return {"core_dropped": int(before - size), "core_rounds": rounds}


def _before_cut(tables: Backend, options: PrepareOptions) -> Any:
    """Of a user's interactions, how many are before the cut; None without one."""
    if options.holdout == "last":
        return None
    if options.holdout == "rest":
        return (_.count() * options.first + ROUNDING).floor().cast("int64")
    moments = tables.table("interactions").microseconds
    cut = int(moments.quantile(TEMPORAL_QUANTILE).to_pyarrow().as_py() or 0)
    return (_.microseconds < cut).sum()


def _write_sequences(
    connection: duckdb.DuckDBPyConnection, tables: Backend, work: Path, before_cut: Any, *, new_items: bool
) -> None:
    """Vocabulary by falling count, then item_id; one row a user, in order of first appearance.

    With a cut: how many of a user's items are before it, and users without such items last.
    """
    interactions = tables.table("interactions")
    counted = interactions.group_by("item_id").agg(count=_.count())
    if new_items:
        new = tables.table("described").anti_join(counted, "item_id")
        counted = counted.union(new.select("item_id", count=ibis.literal(0, "int64")))
    rows = counted.mutate(item_row=ibis.row_number().over(order_by=[ibis.desc("count"), "item_id"]) + 1)
    tables.create_table("vocabulary", rows.select("item_row", "item_id", "count"))
    ordered = [_.microseconds, _.line, _.position]
    sequences = (
        interactions.join(tables.table("vocabulary"), "item_id")
        .group_by("user_id")
        .agg(
            item_rows=_.item_row.collect(order_by=ordered),
            timestamps=_.microseconds.collect(order_by=ordered),
            first=_.line.min(),
            before_cut=ibis.literal(1) if before_cut is None else before_cut,
        )
        .order_by(_.before_cut == 0, "first", "user_id")
        .drop("first", *(["before_cut"] if before_cut is None else []))
    )
    tables.to_parquet(sequences, work / SEQUENCES)
    connection.execute("COPY (FROM vocabulary ORDER BY item_row) TO ? (FORMAT parquet)", [str(work / VOCABULARY)])


def _sizes(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    found = connection.execute(
        "SELECT count(*), count(DISTINCT user_id), count(DISTINCT item_id) FROM interactions"
    ).fetchone()
    interactions, users, items = found or (0, 0, 0)
    mean = interactions / users if users else 0.0
    return {"interactions": interactions, "users": users, "items": items, "mean_length": round(mean, 2)}


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
