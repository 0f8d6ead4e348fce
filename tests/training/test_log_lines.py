"""What one line of a text has wrong costs no other line, and is reported by its number in the file."""

import gzip
from pathlib import Path

import pytest

from service.bundle.plain_lines import LONGEST_LINE
from tests.training.test_interactions import KEEP_ALL, prepared, rejects, sequences
from training.interactions import prepare
from training.log_readers import detect_format
from training.prepared import load_prepared


@pytest.mark.parametrize("rows", [30, 3_000, 200_000])
@pytest.mark.parametrize("stray", ['u,"broken,5', 'u,"bro"ken,5', '"u,broken,5'])
def test_a_stray_quote_costs_its_line_alone(tmp_path: Path, rows: int, stray: str) -> None:
    """As many rows before it as after, so that it is met in the first lines that a reader samples, and far behind."""
    good = [f"u{number % 7},i{number % 5},{number}" for number in range(2 * rows)]
    log = ["user_id,item_id,timestamp", *good[:rows], stray, *good[rows:]]
    data = prepared(tmp_path, "\n".join(log))
    counts = data.manifest["counts"]
    assert (counts["rows_read"], counts["interactions"]) == (2 * rows + 1, 2 * rows)
    assert rejects(tmp_path) == [(rows + 2, "malformed CSV: wanted a closing quote at the end of the field")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\r\n"], ids=["LF", "CRLF", "CR", "mixed"])
@pytest.mark.parametrize("compressed", [False, True])
def test_every_line_is_reported_by_its_number_in_the_file(tmp_path: Path, end: str, compressed: bool) -> None:
    """Blank lines count; so do those that are no UTF-8, that hold control characters, or that are too long."""
    lines: list[bytes] = [b"", b"user_id,item_id,timestamp", b"u,a,1", b"", b"", b"u,,2", b"u,caf\xe9,3", b"u,a\x00b,4"]
    lines += [
        b"u," + b"x" * LONGEST_LINE + b",5",
        b"",
        "u,naïve,6".encode(),
        b'u,"b",7,',
        b"u",
        b"",
        b'u,"c,8',
        b"u,d,9",
    ]
    ends = [end.encode()] * len(lines) if end != "\n\r\n" else [b"\n", b"\r\n"] * (len(lines) // 2)
    text = b"\xef\xbb\xbf" + b"".join(line + its for line, its in zip(lines, ends, strict=True))
    log = tmp_path / ("log.csv.gz" if compressed else "log.csv")
    log.write_bytes(gzip.compress(text) if compressed else text)
    prepare(log, tmp_path / "out", options=KEEP_ALL)
    assert sequences(load_prepared(tmp_path / "out")) == {"u": ["a", "naïve", "b", "d"]}
    found = rejects(tmp_path)
    assert [line for line, _ in found] == [6, 7, 8, 9, 13, 15]
    reasons = ["item_id is empty", *["wanted UTF-8"] * 3, "wanted 3 columns, found 1", "wanted a closing quote"]
    for (_, reason), part in zip(found, reasons, strict=True):
        assert part in reason


@pytest.mark.parametrize("compressed", [False, True])
def test_so_are_the_lines_of_the_formats_without_a_header(tmp_path: Path, compressed: bool) -> None:
    """Blanks around words are none of them."""
    text = b'u a b\r\n \tv\tc  d \r\t\nlonely\nw \0 e\r\n"u" e\n'
    log = tmp_path / ("log.txt.gz" if compressed else "log.txt")
    log.write_bytes(gzip.compress(text) if compressed else text)
    assert detect_format(log) == "sequences"
    prepare(log, tmp_path / "out", options=KEEP_ALL)
    assert sequences(load_prepared(tmp_path / "out")) == {"u": ["a", "b"], "v": ["c", "d"], '"u"': ["e"]}
    found = rejects(tmp_path)
    assert [line for line, _ in found] == [4, 5]
    assert found[0][1] == "wanted: user item item ..."
    assert found[1][1].startswith("wanted UTF-8")


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"a{d}b"', "a{d}b"),
        ('"say ""hi"""', 'say "hi"'),
        ('"""{d}"""', '"{d}"'),
        (' "a b" ', "a b"),
        ('5" pipe', '5" pipe'),
        ("'a'", "'a'"),
        ("a\\", "a\\"),
        ("#a", "#a"),
    ],
)
def test_a_field_is_read_as_it_was_meant(tmp_path: Path, delimiter: str, written: str, read: str) -> None:
    """The header tells the delimiter; quotes enclose a field or are part of it."""
    rows = [["item_id", '"user_id"', " timestamp"], [written.format(d=delimiter), '"u"', "1"]]
    log = "\n".join(delimiter.join(row) for row in rows)
    assert sequences(prepared(tmp_path, log, name="log.tsv")) == {"u": [read.format(d=delimiter)]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "log.csv is empty"),
        (b"\n\n", "log.csv is empty"),
        ("user_id,item_id,timestamp\n".encode("utf-16"), "log.csv, line 1: wanted UTF-8"),
    ],
)
def test_a_csv_without_a_header_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path / "log.csv", tmp_path / "out", options=KEEP_ALL)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"], "no copy of it stays"
