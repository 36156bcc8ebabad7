"""The bytes of a spool segment: a magic, then one frame per record. Pure.

A frame is 12 bytes of head (length of the body, CRC-32 of the body, CRC-32 of those eight bytes) and the body. The head
has a checksum of its own, so that a length that was damaged is told from a frame that was cut off by a crash.
"""

from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, named like one
from typing import Final, Literal, NamedTuple
from zlib import crc32

from sources.base import OutgoingRecord

MAGIC: Final = b"LSSPOOL1"
HEAD_BYTES: Final = 12
_SUMMED: Final = Struct(">II")  # length and CRC-32 of the body
_SUM: Final = Struct(">I")  # CRC-32 of the two
_BODY: Final = Struct(">QHIIH")  # time, bytes of topic, key and value, number of headers
_HEADER: Final = Struct(">HI")  # bytes of its name and its value

End = Literal["whole", "torn", "damaged"]


class Spooled(NamedTuple):
    """A record as it was spooled, at a time in ms UTC."""

    record: OutgoingRecord
    at_ms: int


class Frames(NamedTuple):
    """Records in order, and where the last of them ends. After it comes nothing (`whole`), a frame that was cut off or
    never written (`torn`: it was never acknowledged), or bytes that are wrong (`damaged`).
    """

    records: list[Spooled]
    end: int
    after: End


def frame(record: OutgoingRecord, at_ms: int) -> bytes:
    topic = record.topic.encode()
    parts = [
        _BODY.pack(at_ms, len(topic), len(record.key), len(record.value), len(record.headers)),
        topic,
        record.key,
        record.value,
    ]
    for name, value in record.headers:
        encoded = name.encode()
        parts += (_HEADER.pack(len(encoded), len(value)), encoded, value)
    body = b"".join(parts)
    summed = _SUMMED.pack(len(body), crc32(body))
    return summed + _SUM.pack(crc32(summed)) + body


def read_frames(data: bytes, start: int = 0) -> Frames:
    """Every record from `start` on, up to the first frame that is not whole and right.

    Nothing is looked for behind such a frame: a visitor may send bytes that look like a frame.
    """
    records: list[Spooled] = []
    at = start
    while at < len(data):
        length = body_length(data, at)
        if length is None:
            cut = len(data) - at < HEAD_BYTES or not any(data[at:])
            return Frames(records, at, "torn" if cut else "damaged")
        body = data[at + HEAD_BYTES : at + HEAD_BYTES + length]
        if len(body) < length:
            return Frames(records, at, "torn")
        if crc32(body) != _SUMMED.unpack_from(data, at)[1]:
            return Frames(records, at, "damaged")
        try:
            records.append(_spooled(body))
        except (StructError, ValueError):  # a right sum, so something else wrote it
            return Frames(records, at, "damaged")
        at += HEAD_BYTES + length
    return Frames(records, at, "whole")


def body_length(data: bytes, at: int = 0) -> int | None:
    """Of the frame whose head begins at `at`; None where the head is not whole and right. Zeros are no head."""
    if len(data) - at < HEAD_BYTES:
        return None
    length, _ = _SUMMED.unpack_from(data, at)
    (said,) = _SUM.unpack_from(data, at + _SUMMED.size)
    right = crc32(data[at : at + _SUMMED.size]) == said
    return int(length) if right and length >= _BODY.size else None


def _spooled(body: bytes) -> Spooled:
    """Raises:
    struct.error, ValueError: the lengths inside do not add up, or a name is no text.
    """
    at_ms, topic_bytes, key_bytes, value_bytes, count = _BODY.unpack_from(body)
    key_at = _BODY.size + topic_bytes
    value_at = key_at + key_bytes
    at = value_at + value_bytes
    topic, key, value = body[_BODY.size : key_at].decode(), body[key_at:value_at], body[value_at:at]
    headers = []
    for _ in range(count):
        name_bytes, header_bytes = _HEADER.unpack_from(body, at)
        at += _HEADER.size
        headers.append((body[at : at + name_bytes].decode(), body[at + name_bytes : at + name_bytes + header_bytes]))
        at += name_bytes + header_bytes
    if at != len(body):
        raise ValueError(f"{len(body)} bytes, expected {at}")
    return Spooled(OutgoingRecord(topic, key, value, tuple(headers)), at_ms)
