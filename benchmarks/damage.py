"""Every way of damaging a file of a bundle that can be counted: bytes flipped, ends cut off, files exchanged."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

from service.bundle.files import MANIFEST, BundleError, open_bundle

BITS = 8


@contextmanager
def written(path: Path, content: bytes) -> Iterator[None]:
    """A file with another content, for a while."""
    original = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(original)


def flipped(content: bytes, bit: int) -> bytes:
    """The content with one bit changed."""
    changed = bytearray(content)
    changed[bit // BITS] ^= 1 << bit % BITS
    return bytes(changed)


def is_refused(bundle: Path) -> bool:
    """Whether the bundle is refused as it should be; any other error is none of ours."""
    try:
        open_bundle(bundle)
    except BundleError:
        return True
    return False


def each_bit_of_the_manifest(bundle: Path) -> Iterator[bool]:
    """Whether each was refused."""
    content = (bundle / MANIFEST).read_bytes()
    for bit in range(len(content) * BITS):
        with written(bundle / MANIFEST, flipped(content, bit)):
            yield is_refused(bundle)


def each_truncation(bundle: Path) -> Iterator[bool]:
    """Whether every file, cut to every length, was refused."""
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        for length in range(len(content)):
            with written(path, content[:length]):
                yield is_refused(bundle)


def each_exchange(bundle: Path) -> Iterator[bool]:
    """Whether each file with the content of another was refused."""
    for path, other in permutations(sorted(bundle.iterdir()), 2):
        with written(path, other.read_bytes()):
            yield is_refused(bundle)
