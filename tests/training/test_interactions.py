"""What becomes of a log, row by row."""

import csv
import gzip
import os
import re
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from training.cli import app
from training.interactions import PrepareOptions, prepare
from training.log_readers import Columns, detect_format
from training.prepared import FIRST, REST, PreparedDataset, load_prepared
from training.sequences import training_sequences

KEEP_ALL = PrepareOptions(core=0, max_bad_share=0.9)


def prepared(
    tmp_path: Path, text: str, *, name: str = "log.csv", options: PrepareOptions = KEEP_ALL
) -> PreparedDataset:
    log = tmp_path / name
    log.write_text(text)
    prepare(log, tmp_path / "out", options=options)
    return load_prepared(tmp_path / "out")


def sequences(data: PreparedDataset) -> dict[str, list[str]]:
    return {
        user: [data.item_ids[row - 1] for row in data.rows[start:end]]
        for user, start, end in zip(data.user_ids, data.offsets[:-1], data.offsets[1:], strict=True)
    }


def rejects(tmp_path: Path) -> list[tuple[int, str]]:
    with (tmp_path / "out/rejects.csv").open() as file:
        return [(int(row["line"]), row["reason"]) for row in csv.DictReader(file)]


def test_ids_stay_strings_and_quotes_are_read(tmp_path: Path) -> None:
    data = prepared(tmp_path, 'user_id,item_id,timestamp\n007,"a,b",1\n007,"say ""hi""",2\n')
    assert sequences(data) == {"007": ["a,b", 'say "hi"']}


def test_order_is_by_time_then_by_line(tmp_path: Path) -> None:
    """Seconds and RFC 3339 mix: 1970-01-01T00:00:03Z is 3."""
    log = "user_id,item_id,timestamp\nu,late,9\nu,tie1,5\nu,tie2,5\nu,early,1970-01-01T00:00:03Z\n"
    assert sequences(prepared(tmp_path, log)) == {"u": ["early", "tie1", "tie2", "late"]}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7", 7.0),
        ("7.25", 7.25),
        ("1e1", 10.0),
        ("2.0000005", 2.000001),
        ("1970-01-02", 86400.0),
        ("1970-01-01 00:01", 60.0),
        ("1970-01-01T00:00:03Z", 3.0),
        ("1970-01-01 00:00:03.000001", 3.000001),
        ("1970-01-01T02:00:00+01:30", 1800.0),
    ],
)
def test_moments_are_read_to_the_microsecond(tmp_path: Path, text: str, moment: float) -> None:
    """Unix seconds, rounded, or RFC 3339, whose time, seconds and offset may be missing (UTC)."""
    prepared(tmp_path, f"user_id,item_id,timestamp\nu,a,{text}\n")
    [found] = pl.read_parquet(tmp_path / "out/sequences.parquet")["timestamps"].to_list()
    assert found == [round(moment * 1e6)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("noon", "neither"),
        ("nan", "neither"),
        ("infinity", "neither"),
        ("2026-02-30", "neither"),
        ("1970-01", "neither"),
        ("1e5f", "neither"),
        ("-1", "range"),
        ("1e99", "range"),
    ],
)
def test_other_timestamps_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    """What one engine would read and another not is read by none; a number too large stops nothing."""
    prepared(tmp_path, f"user_id,item_id,timestamp\nu,a,{text}\nu,a,1\n")
    [(line, found)] = rejects(tmp_path)
    assert line == 2
    assert reason in found


def test_a_temporal_holdout_cuts_at_nine_tenths_of_the_interactions(tmp_path: Path) -> None:
    """Moments 0 to 10: nine tenths lie before 9. The user who has nothing before it comes last."""
    events = [("late", 10), *(("first", moment) for moment in (0, 1, 2, 3, 9)), *(("u", m) for m in (4, 5, 6, 7, 8))]
    log = "user_id,item_id,timestamp\n" + "".join(f"{user},i{moment},{moment}\n" for user, moment in events)
    options = PrepareOptions(core=0, holdout="temporal")
    data = prepared(tmp_path, log, options=options)
    assert data.user_ids == ["first", "u", "late"]
    assert data.before_cut is not None
    assert data.before_cut.tolist() == [4, 5, 0]
    assert sequences(data)["first"] == ["i0", "i1", "i2", "i3", "i9"]
    (tmp_path / "text").mkdir()
    with pytest.raises(ValueError, match=r"a temporal holdout needs timestamps: a log as CSV or Parquet, got log\.txt"):
        prepared(tmp_path / "text", "u a b c\n", name="log.txt", options=options)


def test_the_holdout_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    """A bundle of one split is not evaluated on the other, whose test items it may have learned."""
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2\n")
    found = set()
    for holdout, first in (("last", 0.6), ("temporal", 0.6), ("rest", 0.6), ("rest", 0.5)):
        out = tmp_path / f"{holdout}-{first}"
        manifest = prepare(log, out, options=PrepareOptions(core=0, holdout=holdout, first=first))
        found.add(manifest["fingerprint"])
        assert load_prepared(out).holdout == holdout
    assert len(found) == 4


@pytest.mark.parametrize("timed", [True, False])
def test_the_rest_of_each_sequence_is_a_log_of_its_own(tmp_path: Path, timed: bool) -> None:
    """60 % of 5, 2, 1 items: 3, 1, 0. Items of one moment keep their order; without a time the place is the second."""
    events = [("u", item, 7 if item in "bcd" else 9 if item == "e" else 5) for item in "abcde"]
    events += [("v", "a", 1), ("v", "b", 2), ("w", "a", 3)]
    log = tmp_path / ("log.csv" if timed else "log.txt")
    rows = [f"{user},{item},{at}" if timed else f"{user} {item}" for user, item, at in events]
    log.write_text("\n".join([*(["user_id,item_id,timestamp"] if timed else []), *rows, ""]))
    prepare(log, tmp_path / "out", options=PrepareOptions(core=0, holdout="rest"))
    first, rest = (pl.read_parquet(tmp_path / "out" / name) for name in (FIRST, REST))
    assert list(zip(first["user_id"], first["item_id"], strict=True)) == [*(("u", it) for it in "abc"), ("v", "a")]
    assert list(zip(rest["user_id"], rest["item_id"], strict=True)) == [("u", "d"), ("u", "e"), ("v", "b"), ("w", "a")]
    times = [*first["timestamp"][:3], *rest["timestamp"][:2]]
    assert times == pytest.approx([5, 7, 7, 7, 9] if timed else [1, 2, 3, 4, 5], abs=1e-5)
    assert times == sorted(set(times))
    data = load_prepared(tmp_path / "out")
    training = training_sequences(data)
    trained = {data.user_ids[n]: [data.item_ids[row - 1] for row in training[n]] for n in range(len(training))}
    assert trained == {"u": ["a", "b"], "v": ["a"]}, "the last of the first part validates"


def test_exact_duplicates_are_dropped_and_repeats_kept(tmp_path: Path) -> None:
    data = prepared(tmp_path, "user_id,item_id,timestamp\nu,a,1\nu,a,1\nu,a,2\n")
    assert sequences(data) == {"u": ["a", "a"]}
    assert data.manifest["counts"]["duplicates"] == 1


def test_bad_rows_are_reported_with_line_and_reason_and_the_good_kept(tmp_path: Path) -> None:
    log = "user_id,item_id,timestamp\nu,a,1\n,b,2\nu,,3\nbroken\nu,c,noon\nu,d,-1\nu,e,\nu,f,7\n"
    assert sequences(prepared(tmp_path, log)) == {"u": ["a", "f"]}
    found = rejects(tmp_path)
    assert [line for line, _ in found] == [3, 4, 5, 6, 7, 8]
    for (_, reason), part in zip(
        found,
        ["user_id is empty", "item_id is empty", "malformed", "neither", "range", "timestamp is empty"],
        strict=True,
    ):
        assert part in reason


def test_too_many_bad_rows_stop_it_and_leave_no_half_dataset(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"1 of 2 rows are bad, more than --max-bad-share 0.01"):
        prepared(tmp_path, "user_id,item_id,timestamp\nu,a,1\nu,b,noon\n", options=PrepareOptions(core=0))
    assert {path.name for path in tmp_path.iterdir()} == {"log.csv", "out.rejects.csv"}


def test_the_core_is_taken_until_it_is_stable(tmp_path: Path) -> None:
    """2-core: item z goes first (one user), which leaves u3 with one interaction, which takes item c along."""
    log = "user_id,item_id,timestamp\nu1,a,1\nu1,b,2\nu2,a,1\nu2,b,2\nu1,c,3\nu3,c,1\nu3,z,2\n"
    data = prepared(tmp_path, log, options=PrepareOptions(core=2))
    assert sequences(data) == {"u1": ["a", "b"], "u2": ["a", "b"]}
    assert data.manifest["counts"]["core_rounds"] == 3


def test_every_format_gives_the_same_sequences(tmp_path: Path) -> None:
    wanted = {"u1": ["a", "b", "a"], "u2": ["c", "a", "d"]}
    frame = pl.DataFrame({"who": ["u1"] * 3 + ["u2"] * 3, "what": [*"abacad"], "at": [1, 2, 3, 1, 2, 3]})
    frame.write_parquet(tmp_path / "log.parquet")
    options = PrepareOptions(core=0, columns=Columns("who", "what", "at"))
    prepare(tmp_path / "log.parquet", tmp_path / "parquet", options=options)
    assert sequences(load_prepared(tmp_path / "parquet")) == wanted
    for name, text in {
        "sequences": "u1 a b a\nu2 c a d\n",
        "pairs": "u1 a\nu1 b\nu1 a\nu2 c\nu2 a\nu2 d\n",
    }.items():
        (tmp_path / f"{name}.txt").write_text(text)
        assert detect_format(tmp_path / f"{name}.txt") == name
        prepare(tmp_path / f"{name}.txt", tmp_path / name, options=PrepareOptions(core=0))
        assert sequences(load_prepared(tmp_path / name)) == wanted, name


def test_a_gzipped_csv_is_told_by_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(b"user_id,item_id,timestamp\nu,a,1\nu,b,2\n"))
    prepare(tmp_path / "log.csv.gz", tmp_path / "out", options=KEEP_ALL)
    assert sequences(load_prepared(tmp_path / "out")) == {"u": ["a", "b"]}


@pytest.mark.parametrize(
    ("name", "log", "options", "message"),
    [
        ("log.parquet", b"not of that format", [], "log.parquet cannot be read as parquet: .*No magic bytes"),
        ("log.bin", b"\xff\xfe\x00", [], "log.bin is no text in UTF-8, and its suffix tells no format; give --format"),
        ("log.txt", b"u a b\n", ["--memory-limit", "lots"], "--memory-limit must be a size such as 4GB, got 'lots'"),
        ("log.txt", b"u a b\n", ["--memory-limit", "1KB"], "--memory-limit 1KB is too little for log.txt; give more"),
    ],
)
def test_what_cannot_be_prepared_is_one_sentence(
    tmp_path: Path, name: str, log: bytes, options: list[str], message: str
) -> None:
    (tmp_path / name).write_bytes(log)
    done = CliRunner().invoke(app, ["prepare", str(tmp_path / name), "--out", str(tmp_path / "out"), *options])
    assert done.exit_code == 2
    [sentence] = done.stderr.splitlines()
    assert re.match(f"error: {message}", sentence), sentence
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_path_of_a_dataset_may_hold_a_quote(tmp_path: Path) -> None:
    (tmp_path / "bob's").mkdir()
    prepared(tmp_path / "bob's", "user_id,item_id,timestamp\nu,a,1\n")


def test_event_types_select_rows(tmp_path: Path) -> None:
    log = "user_id,item_id,timestamp,kind\nu,a,1,click\nu,b,2,view\nu,c,3,click\n"
    options = PrepareOptions(core=0, columns=Columns(type="kind"), event_types=("click",))
    assert sequences(prepared(tmp_path, log, options=options)) == {"u": ["a", "c"]}


def test_items_bring_titles_categories_and_attributes(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2\n")
    (tmp_path / "items.csv").write_text("item_id,title,category,colour\na,Apple,fruit,red\n,Nobody,,\na,Again,,\n")
    prepare(tmp_path / "log.csv", tmp_path / "out", items=tmp_path / "items.csv", options=KEEP_ALL)
    data = load_prepared(tmp_path / "out")
    assert (data.item_ids, data.titles, data.categories) == (["a", "b"], ["Apple", None], ["fruit", None])
    assert data.attributes == [{"colour": "red"}, {}]
    assert {reason for _, reason in rejects(tmp_path)} == {
        "items file: item_id is empty",
        "items file: item_id occurs twice",
    }


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"log.csv has no column timestamp; it has user_id, item_id"):
        prepared(tmp_path, "user_id,item_id\nu,a\n")


def test_without_pyspark_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,a,1\n")
    with pytest.raises(ValueError, match=r"--engine spark needs pyspark and Java: pip install 'intently\[spark\]'"):
        prepare(tmp_path / "log.csv", tmp_path / "out", engine="spark")


def test_an_existing_directory_is_not_overwritten_unasked(tmp_path: Path) -> None:
    log = "user_id,item_id,timestamp\nu,a,1\n"
    prepared(tmp_path, log)
    with pytest.raises(ValueError, match="exists; choose another --out or give --overwrite"):
        prepared(tmp_path, log)


@pytest.mark.skipif("INTENTLY_DATASETS" not in os.environ, reason="INTENTLY_DATASETS names no folder of real datasets")
def test_beauty_has_its_published_counts(tmp_path: Path) -> None:
    counts = prepare(Path(os.environ["INTENTLY_DATASETS"]) / "Beauty.txt", tmp_path / "beauty")["counts"]
    assert (counts["users"], counts["items"], counts["interactions"]) == (22_363, 12_101, 198_502)
