"""The generated encoder writes what fastavro writes."""

from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import SCHEMAS, decode, encode
from schemas.encoding import compile_encoder
from schemas.projection import UnsupportedSchemaError

GENERATED = ("LeadSnapshot", "StageTransition", "TrackedEvent", "ImportedLine", "Feedback")
SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=200),
    "bytes": st.binary(max_size=200),
}


def values(type_: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Every value of an Avro type."""
    if isinstance(type_, list):
        return st.one_of([values(branch, named) for branch in type_])
    if isinstance(type_, str):
        return SIMPLE[type_] if type_ in SIMPLE else named[type_.rpartition(".")[2]]
    match type_["type"]:
        case "array":
            return st.lists(values(type_["items"], named), max_size=3)
        case "map":
            return st.dictionaries(SIMPLE["string"], values(type_["values"], named), max_size=3)
        case "record":
            fields = {field["name"]: values(field["type"], named) for field in type_["fields"]}
            record: st.SearchStrategy[Any] = st.fixed_dictionaries(fields)
            named[type_["name"]] = record
            return record
        case name:
            return SIMPLE[name]


@pytest.mark.parametrize("kind", GENERATED)
def test_it_equals_fastavro(kind: Any) -> None:
    parsed, encoder = fastavro.parse_schema(SCHEMAS[kind]), compile_encoder(SCHEMAS[kind])
    keeper = compile_encoder(SCHEMAS[kind], repeated=("rule", "subject", "event_id", "name", "word"))

    @settings(max_examples=60)
    @given(values(SCHEMAS[kind], {}))
    def equal(record: dict[str, Any]) -> None:
        out = BytesIO()
        fastavro.schemaless_writer(out, parsed, record)
        assert encoder(b"prefix", record) == b"prefix" + out.getvalue()
        assert keeper(b"prefix", record) == b"prefix" + out.getvalue()

    equal()


@pytest.mark.parametrize("bits", range(64))
def test_numbers_of_every_size(bits: int) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]}
    parsed, encoder = fastavro.parse_schema(schema), compile_encoder(schema)
    for number in {2**bits - 1, -(2**bits), min(2**bits, 2**63 - 1), 2**bits // 3 * 2}:
        out = BytesIO()
        fastavro.schemaless_writer(out, parsed, {"n": number})
        assert encoder(b"", {"n": number}) == out.getvalue()


def test_a_thousand_texts_are_kept_and_no_more() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "s", "type": "string"}]}
    encoder: Any = compile_encoder(schema, repeated=("s",))
    for number in [*range(2500), 0]:
        assert encoder(b"", {"s": f"{number:04}"}) == b"\x08%04d" % number
        assert 1 <= len(encoder.__globals__["kept_string"]) <= 1000


@given(values(SCHEMAS["LeadSnapshot"], {}))
def test_a_snapshot_survives_the_wire(snapshot: dict[str, Any]) -> None:
    assert decode(encode("LeadSnapshot", snapshot)) == ("LeadSnapshot", snapshot)


UNION = {"type": "record", "name": "R", "fields": [{"name": "u", "type": ["null", "boolean", "long", "string"]}]}


@pytest.mark.parametrize("record", [{}, None, {"u": 1.5}, {"u": b"bytes"}, {"u": 2**63}, {"u": "\ud800"}])
def test_what_does_not_fit_the_schema_is_refused(record: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        compile_encoder(UNION)(b"", record)


@pytest.mark.parametrize("value", [None, 1, b"bytes", ["a"], "\ud800"])
def test_no_value_but_text_is_kept(value: Any) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "s", "type": "string"}]}
    encoder: Any = compile_encoder(schema, repeated=("s",))
    with pytest.raises((TypeError, ValueError)):
        encoder(b"", {"s": value})
    assert not encoder.__globals__["kept_string"]


def test_a_type_without_code_is_named() -> None:
    with pytest.raises(UnsupportedSchemaError, match="fixed"):
        compile_encoder({"type": "record", "name": "R", "fields": [{"name": "f", "type": {"type": "fixed"}}]})
