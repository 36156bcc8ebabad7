import struct
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.base import OutgoingRecord
from sources.spool.segment import HEAD_BYTES, MAGIC, Spooled, frame, read_frames

RECORDS = st.builds(
    OutgoingRecord,
    topic=st.text(max_size=20),
    key=st.binary(max_size=40),
    value=st.binary(max_size=300),
    headers=st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=20)), max_size=3).map(tuple),
)
SPOOLED = st.builds(Spooled, record=RECORDS, at_ms=st.integers(0, 2**63))
RECORD = OutgoingRecord("events", b"1a", b"value", (("sent_at_ms", b"5"),))


def segment(spooled: list[Spooled]) -> bytes:
    return MAGIC + b"".join(frame(each.record, each.at_ms) for each in spooled)


@given(st.lists(SPOOLED, max_size=8))
def test_what_is_written_is_read(spooled: list[Spooled]) -> None:
    data = segment(spooled)
    found = read_frames(data, len(MAGIC))
    assert (found.records, found.end, found.after) == (spooled, len(data), "whole")


@given(st.lists(SPOOLED, min_size=1, max_size=8), st.data())
def test_a_segment_cut_at_any_byte_gives_the_records_before_the_cut(spooled: list[Spooled], data: Any) -> None:
    written = segment(spooled)
    cut = data.draw(st.integers(len(MAGIC), len(written) - 1))
    found = read_frames(written[:cut], len(MAGIC))
    whole = [place for place in range(len(spooled) + 1) if len(segment(spooled[:place])) <= cut]
    assert found.records == spooled[: whole[-1]]
    assert found.after == ("whole" if found.end == cut else "torn")


@given(st.lists(SPOOLED, min_size=1, max_size=8), st.data())
def test_a_changed_byte_never_gives_a_wrong_record(spooled: list[Spooled], data: Any) -> None:
    written = bytearray(segment(spooled))
    at = data.draw(st.integers(len(MAGIC), len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    found = read_frames(bytes(written), len(MAGIC))
    assert found.after == "damaged"
    assert found.records == spooled[: len(found.records)]
    assert found.end <= at


@given(st.lists(SPOOLED, max_size=4), st.binary(max_size=200))
def test_garbage_after_the_records_is_no_record(spooled: list[Spooled], garbage: bytes) -> None:
    assert read_frames(segment(spooled) + garbage, len(MAGIC)).records == spooled


@given(st.binary(max_size=80) | SPOOLED.map(lambda each: frame(each.record, each.at_ms)[HEAD_BYTES:]), st.data())
def test_a_body_that_something_else_wrote_is_damaged_or_a_record(body: bytes, data: Any) -> None:
    at, cut = (data.draw(st.integers(0, len(body))) for _ in range(2))
    body = body[:at] + data.draw(st.binary(max_size=4)) + body[at + cut :]
    summed = struct.pack(">II", len(body), crc32(body))
    written = MAGIC + summed + struct.pack(">I", crc32(summed)) + body
    found = read_frames(written, len(MAGIC))
    if found.after == "whole":
        assert segment(found.records) == written
    else:
        assert (found.records, found.after, found.end) == ([], "damaged", len(MAGIC))


@pytest.mark.parametrize("length", [1, HEAD_BYTES, HEAD_BYTES + 1, 4096])
def test_zeros_that_a_power_failure_left_are_a_torn_end(length: int) -> None:
    found = read_frames(segment([Spooled(RECORD, 1)]) + bytes(length), len(MAGIC))
    assert (found.records, found.after) == ([Spooled(RECORD, 1)], "torn")


def test_a_frame_inside_a_value_is_not_found_behind_a_damaged_one() -> None:
    forged = frame(OutgoingRecord("other-topic", b"1victim", b"forged"), 1)
    written = bytearray(segment([Spooled(RECORD._replace(value=forged), 1)]))
    written[len(MAGIC) + HEAD_BYTES] ^= 1
    found = read_frames(bytes(written), len(MAGIC))
    assert (found.records, found.after) == ([], "damaged")
