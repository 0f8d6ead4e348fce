"""A text file whose lines another reader finds without mistake, whatever they hold.

DuckDB aborts on mixed line ends, and miscounts where it has to leave lines out: it is given nothing of the kind.
"""

import gzip
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from tempfile import TemporaryDirectory

MARK = "\0"  # before what is shown of a line that cannot be read
NOWHERE = "\x1f"  # in no line: a delimiter for who wants whole lines
LONGEST_LINE = 1_000_000  # bytes
LINES = (  # in DuckDB, of such a file: `text` of every line, null where it is blank
    f"read_csv(?, columns = {{'text': 'VARCHAR'}}, delim = chr({ord(NOWHERE)}), quote = '', escape = '', "
    "header = false, auto_detect = false, new_line = '\\n')"
)
READABLE = f"UTF-8 of at most {LONGEST_LINE:,} bytes without the control characters 0 and 31"
SHOWN = 1000  # bytes of a line that cannot be read
CHUNK = LONGEST_LINE // 4
_RESERVED = (MARK.encode(), NOWHERE.encode())


@contextmanager
def plain_lines(log: Path, folder: Path | None = None) -> Iterator[Path]:
    """The log as UTF-8 with LF, line by line: itself if it is that, else a copy in `folder` (where temporary files go).

    Lines end with LF, CRLF or CR. One that cannot be read is in the copy MARK and its beginning. `.gz` is unpacked.
    """
    if log.suffix != ".gz" and _is_plain(log):
        yield log
        return
    with TemporaryDirectory(dir=folder) as place:
        copy = Path(place) / "plain"
        with gzip.open(log) if log.suffix == ".gz" else log.open("rb") as source, copy.open("wb") as target:
            for block in _blocks(source):
                target.write(block if _is_readable(block) else b"\n".join(map(_marked, block.split(b"\n"))))
        yield copy


def _is_plain(log: Path) -> bool:
    decoder = getincrementaldecoder("utf-8")()
    with log.open("rb") as file:
        try:
            while chunk := file.read(CHUNK):
                if b"\r" in chunk or b"\n" not in chunk or any(character in chunk for character in _RESERVED):
                    return False
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _blocks(source: BufferedIOBase) -> Iterator[bytes]:
    """Whole lines, each ended by LF; of one that is too long, enough to see that."""
    left = b""
    while chunk := source.read(CHUNK):
        while chunk.endswith(b"\r") and (more := source.read(1)):  # CRLF is one end
            chunk += more
        block, end, left = (left + chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).rpartition(b"\n")
        yield block + end
        left = left[: LONGEST_LINE + 1]
    yield left


def _is_readable(block: bytes) -> bool:
    """Of every line of it; False may be mistaken."""
    if len(block) > LONGEST_LINE or any(character in block for character in _RESERVED):
        return False
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _marked(line: bytes) -> bytes:
    if _is_readable(line):
        return line
    shown = line[:SHOWN].decode(errors="replace")
    return (MARK + shown.replace(MARK, "").replace(NOWHERE, "")).encode()
