"""Records survive the wire; what is no record is refused with a reason."""

import contextlib
import json
import tracemalloc
from typing import Any

import pytest
from fastavro.schema import fingerprint
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.codec import UndecodableError, decode, decode_json_event, encode, kind_of

EVENT: dict[str, Any] = {"event_id": "e1", "type": "page_view", "occurred_at": 5}


def test_the_fingerprint_is_the_one_of_the_specification() -> None:
    # Avro 1.12.0, "Schema Fingerprints": CRC-64-AVRO of "null" is 63dd24e7cc258f8a, little endian on the wire.
    assert fingerprint('"null"', "CRC-64-AVRO") == bytes.fromhex("63dd24e7cc258f8a")[::-1].hex()


def test_prefixes_are_distinct_and_stable() -> None:
    assert len(set(codec.PREFIXES.values())) == len(codec.PREFIXES)
    # A changed contract is a new file with a new version, not an edit: records of this one are in logs.
    assert codec.PREFIXES["Tick"].hex() == "c301bd53b019f903b626"


def test_an_event_survives_the_wire() -> None:
    event = decode_json_event(json.dumps(EVENT | {"properties": {"n": 1, "tags": ["a"], "x": None}}).encode())
    assert decode(encode("TrackedEvent", event)) == ("TrackedEvent", event)


def test_json_gets_the_defaults_of_the_schema_also_inside_records() -> None:
    event = decode_json_event(json.dumps(EVENT | {"campaign": {"source": "news"}}).encode())
    assert event["flags"] == {"bot": False, "late": False, "clamped": False}
    assert event["campaign"] == {
        "source": "news", "medium": None, "name": None, "term": None, "content": None, "id": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "bad_avro"),
        (codec.MAGIC + bytes(8), "unknown_schema"),
        (codec.PREFIXES["Feedback"] + b"\x06ab", "bad_avro"),
        (encode("Tick", {}) + b"x", "bad_avro"),
        (b'{"event_id": NaN}', "bad_json"),
        (b'{"a":' * 100_000, "bad_json"),
        (b'{"event_id": "e1", "type": "x"', "bad_json"),
        (b'{"event_id": "e1"}', "bad_event"),
        (json.dumps(EVENT | {"urll": "x"}).encode(), "bad_event"),
        (json.dumps(EVENT | {"occurred_at": "yesterday"}).encode(), "bad_event"),
        (json.dumps(EVENT | {"occurred_at": 2**70}).encode(), "bad_event"),
    ],
)
def test_what_is_no_record_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UndecodableError) as error:
        decode(data)
    assert error.value.reason == reason


@given(st.binary(max_size=60))
def test_garbage_behind_a_known_prefix_never_raises_anything_else(body: bytes) -> None:
    for prefix in codec.PREFIXES.values():
        try:
            kind, record = decode(prefix + body)
        except UndecodableError:
            continue
        assert kind == kind_of(prefix)
        assert isinstance(record, dict)


def varint(number: int) -> bytes:
    """A long as Avro writes it."""
    rest, written = (number << 1) ^ (number >> 63), bytearray()
    while rest > 127:
        written.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*written, rest])


@pytest.mark.parametrize("kind", codec.PREFIXES)
@pytest.mark.parametrize("number", [2**62, 2**31, -1, -(2**63)])
def test_a_length_or_count_that_nothing_follows_takes_no_memory(kind: codec.Kind, number: int) -> None:
    tracemalloc.start()
    try:
        for before in (0, 1, 2, 3, 5, 8, 13, 21, 34):  # nulls, empty texts and zeros, until a length or count is due
            with contextlib.suppress(UndecodableError):
                decode(codec.PREFIXES[kind] + bytes(before) + varint(number) + bytes(1_000))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=40), st.integers(0, 90), st.integers(0, 90))
def test_json_with_any_bytes_in_it_never_raises_anything_else(patch: bytes, start: int, length: int) -> None:
    text = json.dumps(EVENT | {"properties": {"n": 1, "tags": ["a"]}, "campaign": {"source": "news"}}).encode()
    with contextlib.suppress(UndecodableError):
        decode_json_event(b"{" + text[1:start] + patch + text[start + length :])


def test_json_with_a_lone_surrogate_is_no_text_and_no_row_could_hold_it() -> None:
    event = b'{"event_id": "e", "type": "page_view", "occurred_at": null, "traits": {"a": "\\ud83d\\ude00"}}'
    assert decode(event)[1]["traits"] == {"a": "\U0001f600"}
    with pytest.raises(UndecodableError) as refused:
        decode(event.replace(b"\\ude00", b""))
    assert refused.value.reason == "bad_json"
