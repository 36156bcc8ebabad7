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

    @settings(max_examples=60)
    @given(values(SCHEMAS[kind], {}))
    def equal(record: dict[str, Any]) -> None:
        out = BytesIO()
        fastavro.schemaless_writer(out, parsed, record)
        assert encoder(b"prefix", record) == b"prefix" + out.getvalue()

    equal()


@given(values(SCHEMAS["LeadSnapshot"], {}))
def test_a_snapshot_survives_the_wire(snapshot: dict[str, Any]) -> None:
    assert decode(encode("LeadSnapshot", snapshot)) == ("LeadSnapshot", snapshot)


UNION = {"type": "record", "name": "R", "fields": [{"name": "u", "type": ["null", "boolean", "long", "string"]}]}


@pytest.mark.parametrize("record", [{}, None, {"u": 1.5}, {"u": b"bytes"}, {"u": 2**63}, {"u": "\ud800"}])
def test_what_does_not_fit_the_schema_is_refused(record: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        compile_encoder(UNION)(b"", record)


def test_a_type_without_code_is_named() -> None:
    with pytest.raises(UnsupportedSchemaError, match="fixed"):
        compile_encoder({"type": "record", "name": "R", "fields": [{"name": "f", "type": {"type": "fixed"}}]})
