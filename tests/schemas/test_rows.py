"""Packed rows come back as they were; other bytes are refused by one error."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rows import (
    Bucket,
    KeptTouch,
    ModelEntry,
    PartRow,
    Row,
    Tally,
    UnreadableRowError,
    pack_part,
    pack_row,
    read_header,
    stage_of,
    unpack_part,
    unpack_priced,
    unpack_row,
)

ID = b"12345678"
ROW = Row(
    now=5,
    stage="lead",
    entered_at=3,
    tallies={"r": Tally(5.0, 1.5, 1, 5, "e1", "subject")},
    traits={"email": ("ada@bigbank.example", 5, ID), "tags": (["a", "b"], 5, ID)},
    first_touch=KeptTouch(1, ID, "url", "referrer", "source", ("gclid", "x"), ("a", None, None, None, None, None)),
    limited={"r": {256: Bucket(0, [(5, ID, 1, 1.5, ("tag",))])}},
    window={ID: 5},
    paid={ID: (("r", 1, 1, ("tag",)),)},
    fences={"cli/x": 4},
)
PACKED = pack_row((1, 5), 7, 3, ROW)
PART = PartRow(1, 5, 1, [ModelEntry((1, 2), 3, 1, "hash")])
READERS: list[Callable[[bytes], Any]] = [read_header, unpack_row, unpack_priced, stage_of, unpack_part]


def test_what_is_packed_is_read() -> None:
    assert unpack_row(PACKED) == ROW
    assert (read_header(PACKED).version, stage_of(PACKED), unpack_priced(PACKED).traits) == ((1, 5), "lead", ROW.traits)
    assert unpack_part(pack_part(PART)) == PART


def read_all(data: bytes) -> None:
    """Raises whatever is no `UnreadableRowError`."""
    for reader in READERS:
        with contextlib.suppress(UnreadableRowError):
            reader(data)


@given(st.sampled_from([PACKED, pack_part(PART)]), st.integers(0, 400), st.integers(0, 3), st.binary(max_size=4))
def test_a_damaged_row_is_read_or_unreadable(whole: bytes, at: int, length: int, patch: bytes) -> None:
    read_all(whole[:at] + patch + whole[at + length :])


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_unreadable(data: bytes) -> None:
    for start in (b"", PACKED[:29], b"\x01"):
        read_all(start + data)


@pytest.mark.parametrize(
    "body",
    [
        b"\x91" * 100_000,  # lists in lists
        b"\x92\x00\xa1a" + b"\x81\xa0" * 100_000,
        b"\xdc\x00\x20\x00\xa1a" + b"\x00" * 20 + b"\x91" * 100_000,  # behind the last field
        b"\xdd\xff\xff\xff\xff",  # lengths that nothing follows
        b"\xdf\xff\xff\xff\xff",
        b"\x92\x00\xdb\xff\xff\xff\xff",
        b"\x93\x00\xa1\xff\x00",  # no UTF-8
    ],
)
def test_endless_nesting_and_length_are_unreadable(body: bytes) -> None:
    for reader in (unpack_row, stage_of):
        with pytest.raises(UnreadableRowError):
            reader(PACKED[:29] + body)
    with pytest.raises(UnreadableRowError):
        unpack_part(PACKED[:1] + body)
