"""The generated decoder reads what fastavro reads."""

import json
from io import BytesIO
from itertools import product
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import HEADER_BYTES, SCHEMAS, decode_json_event, encode
from schemas.projection import MalformedError, UnsupportedSchemaError, compile_projection

SCHEMA = SCHEMAS["TrackedEvent"]
FIELDS = [field["name"] for field in SCHEMA["fields"]]
PARSED = fastavro.parse_schema(SCHEMA)

text = st.text(max_size=200)
optional_text = st.none() | text
long_ = st.integers(-(2**63), 2**63 - 1)
scalar = st.none() | st.booleans() | long_ | st.floats(allow_nan=False) | text | st.lists(text, max_size=3)
campaign = st.fixed_dictionaries(dict.fromkeys(("source", "medium", "name", "term", "content", "id"), optional_text))
events = st.fixed_dictionaries(
    {
        "event_id": text,
        "type": text,
        "occurred_at": st.none() | long_,
        "received_at": long_,
        "flags": st.fixed_dictionaries({"bot": st.booleans(), "late": st.booleans(), "clamped": st.booleans()}),
        "url": optional_text,
        "campaign": st.none() | campaign,
        "click_id": st.none() | st.fixed_dictionaries({"kind": text, "value": text}),
        "duration_seconds": st.none() | st.floats(allow_nan=False),
        "traits": st.none() | st.dictionaries(text, scalar, max_size=4),
        "properties": st.none() | st.dictionaries(text, scalar, max_size=4),
        "title": optional_text,
        "source": st.none() | st.fixed_dictionaries({"library": optional_text, "version": optional_text, "key": text}),
    }
)


def _written(event: dict[str, Any]) -> bytes:
    return encode("TrackedEvent", event)


@given(events, st.sets(st.sampled_from(FIELDS)))
def test_it_equals_fastavro_on_the_wanted_fields(event: dict[str, Any], wanted: set[str]) -> None:
    data = _written(event)
    whole: Any = fastavro.schemaless_reader(BytesIO(data[HEADER_BYTES:]), PARSED)
    assert compile_projection(SCHEMA, wanted)(data, HEADER_BYTES) == {name: whole[name] for name in wanted}


@given(events, st.data())
def test_a_truncated_record_is_refused(event: dict[str, Any], data: st.DataObject) -> None:
    whole = _written(event)
    cut = data.draw(st.integers(HEADER_BYTES, len(whole) - 1))
    for wanted in ([], FIELDS):
        with pytest.raises(MalformedError):
            compile_projection(SCHEMA, wanted)(whole[:cut], HEADER_BYTES)


@given(st.binary(max_size=80))
def test_garbage_is_refused_or_read_as_fastavro_reads_it(body: bytes) -> None:
    try:
        found = compile_projection(SCHEMA, FIELDS)(body, 0)
    except MalformedError:
        return
    assert repr(found) == repr(fastavro.schemaless_reader(BytesIO(body), PARSED))  # repr: NaN equals itself


def test_bytes_left_over_are_refused() -> None:
    with pytest.raises(MalformedError, match="expected"):
        compile_projection(SCHEMA, ["type"])(encode("TrackedEvent", _event()) + b"\0", HEADER_BYTES)


NUMBERS: dict[str, Any] = {
    "type": "record",
    "name": "R",
    "fields": [{"name": name, "type": "long"} for name in ("a", "b")],
}


def _varint(number: int, size: int) -> bytes:
    """Zigzag, in `size` bytes, be they needed or not."""
    rest = number << 1 if number >= 0 else ~(number << 1)
    return bytes([rest >> 7 * place & 127 | 128 * (place < size - 1) for place in range(size)])


def _numbers_of(size: int) -> list[int]:
    """Some that fit into so many bytes; some would fit into fewer."""
    bound = min(2 ** (7 * size - 1), 2**63)
    return [-bound, -2, 0, 1, 2 ** (7 * size - 7) % bound, bound - 1]


@pytest.mark.parametrize("sizes", list(product(range(1, 11), repeat=2)))
def test_numbers_of_one_to_ten_bytes(sizes: tuple[int, int]) -> None:
    projects = [(wanted, compile_projection(NUMBERS, wanted)) for wanted in ("", "a", "b", "ab")]
    for a, b in product(*map(_numbers_of, sizes)):
        data, whole = _varint(a, sizes[0]) + _varint(b, sizes[1]), {"a": a, "b": b}
        assert fastavro.schemaless_reader(BytesIO(data), fastavro.parse_schema(NUMBERS)) == whole
        for wanted, project in projects:
            assert project(data, 0) == {name: whole[name] for name in wanted}


@pytest.mark.parametrize("sizes", list(product((1, 2, 5, 6, 7, 10), repeat=2)))
def test_a_record_that_ends_inside_a_number_is_refused(sizes: tuple[int, int]) -> None:
    data = _varint(1, sizes[0]) + _varint(-1, sizes[1])
    for wanted in ("", "ab"):
        project = compile_projection(NUMBERS, wanted)
        for cut in range(len(data)):
            with pytest.raises(MalformedError):
                project(data[:cut], 0)


@pytest.mark.parametrize("wanted", ["ab", "a", ""])
def test_a_number_of_eleven_bytes_is_refused(wanted: str) -> None:
    with pytest.raises(MalformedError, match="ten bytes"):
        compile_projection(NUMBERS, wanted)(_varint(1, 11) + _varint(1, 1), 0)


@pytest.mark.parametrize("length", [b"\x01", b"\x81\x00", b"\xff\x01"])
def test_a_negative_length_is_refused(length: bytes) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "s", "type": "string"}]}
    for wanted in ([], ["s"]):
        with pytest.raises(MalformedError, match="negative length"):
            compile_projection(schema, wanted)(length + b"text", 0)


def test_map_blocks_with_a_negative_count_carry_their_size() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "m", "type": {"type": "map", "values": "long"}}]}
    block = bytes([2, ord("a"), 14])
    data = bytes([1, len(block) * 2]) + block + bytes([2]) + bytes([2, ord("b"), 1]) + bytes([0])
    assert fastavro.schemaless_reader(BytesIO(data), fastavro.parse_schema(schema)) == {"m": {"a": 7, "b": -1}}
    assert compile_projection(schema, ["m"])(data, 0) == {"m": {"a": 7, "b": -1}}
    assert compile_projection(schema, [])(data, 0) == {}


def test_a_type_without_code_is_named() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": {"type": "fixed", "size": 2}}]}
    with pytest.raises(UnsupportedSchemaError, match="fixed"):
        compile_projection(schema, ["f"])


def _event() -> dict[str, Any]:
    return dict(decode_json_event(json.dumps({"event_id": "e", "type": "t", "occurred_at": 1}).encode()))
