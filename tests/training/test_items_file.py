"""What an items file says of the catalogue, row by row."""

import csv
import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from training.interactions import PrepareOptions, prepare
from training.prepared import load_prepared


def described(tmp_path: Path, items: bytes | pl.DataFrame, name: str) -> dict[str, tuple[str | None, dict[str, Any]]]:
    """Title and attributes of the three items of a log, by what an items file says of them."""
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2\nu,c,3\n")
    if isinstance(items, bytes):
        (tmp_path / name).write_bytes(items)
    else:
        items.write_parquet(tmp_path / name)
    prepare(tmp_path / "log.csv", tmp_path / "out", items=tmp_path / name, options=PrepareOptions(core=0))
    data = load_prepared(tmp_path / "out")
    return {item: (data.titles[row], data.attributes[row]) for row, item in enumerate(data.item_ids)}


def assert_rejected(tmp_path: Path, wanted: dict[int, str]) -> None:
    """These lines, for reasons with these words in them."""
    with (tmp_path / "out/rejects.csv").open(newline="") as file:
        found = {int(row["line"]): row["reason"] for row in csv.DictReader(file)}
    assert list(found) == list(wanted)
    for line, part in wanted.items():
        assert found[line].startswith("items file: ")
        assert part in found[line]
    assert load_prepared(tmp_path / "out").manifest["counts"]["items_rejected"] == len(wanted)


@pytest.mark.parametrize("column", ["list price", "price-eur", "order", "2nd", 'a" := 1, "b', "it's'); --", "line"])
def test_columns_of_items_may_have_any_name(tmp_path: Path, column: str) -> None:
    """It is the attribute's name, and never part of a statement."""
    written = column.replace('"', '""')
    header = f'item_id,title,"{written}"\n'
    assert described(tmp_path, f"{header}a,A,3\n".encode(), "items.csv")["a"] == ("A", {column: "3"})
    (tmp_path / "parquet").mkdir()
    frame = pl.DataFrame({"item_id": ["a"], "title": ["A"], column: [3]})
    assert described(tmp_path / "parquet", frame, "items.parquet")["a"] == ("A", {column: 3})


CSV_ITEMS = [
    *("\ufeffitem_id;title;note", 'a;"A;', 'a";x', "", "b;B;x;too many", 'c;"open;x', "d;caf\udce9;x", ",nobody;x"),
    *(";nobody;x", 'c;C;"say ""hi"""', "a;again;", "e;E", 'e;"the last'),
]


def test_bad_rows_of_items_are_reported_with_line_and_reason_and_the_good_kept(tmp_path: Path) -> None:
    """A text may hold line breaks; a quote that nobody closes costs its own row alone."""
    found = described(tmp_path, "\n".join(CSV_ITEMS).encode("utf-8", "surrogateescape"), "items.csv")
    assert found == {"a": ("A;\na", {"note": "x"}), "b": (None, {}), "c": ("C", {"note": 'say "hi"'})}
    wanted = {5: "3 columns, found 4", 6: "malformed CSV", 7: "not UTF-8", 8: "3 columns, found 2"}
    wanted |= {9: "item_id is empty", 11: "item_id occurs twice", 12: "3 columns, found 2", 13: "malformed CSV"}
    assert_rejected(tmp_path, wanted)


@pytest.mark.parametrize("packed", [False, True])
def test_bad_lines_of_json_are_reported_and_the_good_kept(tmp_path: Path, packed: bool) -> None:
    lines = ['{"item_id": "a", "title": "A", "n": [1, {"b": null}]}', "", '{"item_id": "b"', "[]", '{"title": "B"}']
    lines += ['{"item_id": "c", "price": NaN}', '{"item_id": "b", "title": "\\ud800"}', '{"item_id": "c", "title": 7}']
    text = "\n".join(lines).encode()
    found = described(tmp_path, gzip.compress(text) if packed else text, "items.jsonl" + (".gz" if packed else ""))
    assert found == {"a": ("A", {"n": [1, {"b": None}]}), "b": (None, {}), "c": ("7", {})}
    wanted = {3: "malformed JSON", 4: "JSON object", 5: "item_id is empty", 6: "NaN is no number", 7: "not UTF-8"}
    assert_rejected(tmp_path, wanted)


@pytest.mark.parametrize(
    ("name", "items", "message"),
    [
        ("items.csv", b"", "items.csv has no column item_id; it has no header"),
        ("items.csv", b"sku,title\na,A\n", "items.csv has no column item_id; it has sku,title"),
        ("items.csv", b"item_id,title,title\na,A,A\n", "items.csv has two columns title; rename one"),
        ("items.csv", b"item_id,title\na\nb\n", r"items.csv has no good row; line 2: wanted 2 columns, found 1"),
        ("items.csv.gz", gzip.compress(b"item_id\na\n")[:-5], "items.csv.gz is not a whole gzip file"),
        ("items.jsonl", b'{"sku": "a"}\n', "items.jsonl has no good row; line 1: item_id is empty"),
        ("items.parquet", b"item_id,title\na,A\n", "items.parquet cannot be read as Parquet: .*No magic bytes"),
        ("items.parquet", pl.DataFrame({"sku": ["a"]}), "items.parquet has no column item_id; it has sku"),
    ],
)
def test_items_that_cannot_be_read_are_refused(
    tmp_path: Path, name: str, items: bytes | pl.DataFrame, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        described(tmp_path, items, name)
    assert not (tmp_path / "out").exists()
