"""The stored form, byte by byte."""

import doctest

import pytest

from service.stores import packed
from service.stores.base import EventStatus, StoreUnavailableError, event_key


def test_an_event_is_25_bytes_for_an_item_id_of_10() -> None:
    """7 of timestamp, 6 of key, 2 of length, 10 of item_id."""
    stored = packed.pack([(1, 2, b"B000000001")])
    assert stored == b"\0\0\0\0\0\0\1" + b"\0\0\0\0\0\2" + b"\0\x0a" + b"B000000001"
    assert packed.unpack(stored) == [(1, 2, b"B000000001")]


def test_an_event_key_is_the_first_48_bits_of_sha256() -> None:
    """SHA-256 of "abc" begins ba7816bf8f01 (FIPS 180-4)."""
    assert event_key("abc") == 0xBA7816BF8F01


@pytest.mark.parametrize("length", [1, 14, 15, 24])
def test_bytes_cut_short_are_reported(length: int) -> None:
    with pytest.raises(StoreUnavailableError, match="must end with an entry"):
        packed.unpack(packed.pack([(1, 2, b"B000000001")])[:length])


def test_a_newer_version_moves_its_event() -> None:
    before = packed.pack([(1, 1, b"a"), (2, 2, b"b")])
    after, statuses = packed.merge(before, [(3, 1, b"c")], limit=2)
    assert packed.unpack(after) == [(2, 2, b"b"), (3, 1, b"c")]
    assert statuses == [EventStatus.DUPLICATE]


def test_the_example_in_merge_holds() -> None:
    assert doctest.testmod(packed).failed == 0
