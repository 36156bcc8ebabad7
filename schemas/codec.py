"""Avro bytes <-> records: the only user of fastavro.

On the wire a record is in Avro's single-object encoding: `C3 01`, the CRC-64-AVRO fingerprint of the writer's schema
(8 bytes, little endian), the body. https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding
"""

import json
from collections.abc import Mapping
from importlib import resources
from io import BytesIO
from typing import Any, Literal, NoReturn, cast, get_args

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form
from fastavro.validation import ValidationError, validate

from schemas.encoding import Encoder, compile_encoder
from schemas.nearest import did_you_mean
from schemas.records import TrackedEvent

MAGIC = b"\xc3\x01"
HEADER_BYTES = 10

Kind = Literal[
    "TrackedEvent",
    "Feedback",
    "ImportedLine",
    "Tick",
    "Epoch",
    "ModelActivated",
    "StageTransition",
    "LeadSnapshot",
    "DeadLetter",
    "DeadLetterHandled",
]


class UndecodableError(ValueError):
    """Bytes that are no record of ours.

    Attributes:
        reason: one of `empty`, `bad_json`, `bad_event`, `bad_avro`, `unknown_schema`.
        detail: for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def _snake(kind: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind).lstrip("_")


def _load(kind: Kind) -> dict[str, Any]:
    text = resources.files("schemas").joinpath("avro", f"{_snake(kind)}.v1.avsc").read_text("utf-8")
    return cast("dict[str, Any]", json.loads(text))


def _prefix(schema: dict[str, Any]) -> bytes:
    crc: str = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return MAGIC + bytes.fromhex(crc)


SCHEMAS: dict[Kind, dict[str, Any]] = {kind: _load(kind) for kind in get_args(Kind)}
PREFIXES: dict[Kind, bytes] = {kind: _prefix(schema) for kind, schema in SCHEMAS.items()}
_PARSED: dict[Kind, Any] = {kind: fastavro.parse_schema(schema) for kind, schema in SCHEMAS.items()}
# What the fold writes for every lead that changes; fastavro takes four times as long.
# Fields whose values are the model's, so that there are few of them.
_REPEATED = ("rule", "half_life_ms", "stage", "name", "version", "grade")
_ENCODERS: dict[Kind, Encoder] = {
    kind: compile_encoder(SCHEMAS[kind], _REPEATED) for kind in ("LeadSnapshot", "StageTransition")
}
_KINDS: dict[bytes, Kind] = {prefix: kind for kind, prefix in PREFIXES.items()}


def encode(kind: Kind, record: Mapping[str, Any]) -> bytes:
    """The record as single-object Avro.

    Raises:
        ValueError, TypeError: the record does not fit the contract (a bug of the caller).
    """
    generated = _ENCODERS.get(kind)
    if generated is not None:
        return generated(PREFIXES[kind], record)
    out = BytesIO()
    out.write(PREFIXES[kind])
    fastavro.schemaless_writer(out, _PARSED[kind], record)
    return out.getvalue()


def kind_of(data: bytes) -> Kind:
    """The kind of a record on the wire; `TrackedEvent` for JSON, the only kind it may have.

    Raises:
        UndecodableError: it is neither JSON nor Avro of a schema known here.
    """
    kind = _KINDS.get(data[:HEADER_BYTES])
    if kind is not None:
        return kind
    if data[:1] == b"{":
        return "TrackedEvent"
    if not data:
        raise UndecodableError("empty", "the record has no value")
    if data[:2] == MAGIC:
        raise UndecodableError("unknown_schema", f"no schema here has the fingerprint {data[2:HEADER_BYTES].hex()}")
    raise UndecodableError("bad_avro", f"begins with {data[:4].hex()}; expected Avro (c301...) or a JSON object")


def decode(data: bytes) -> tuple[Kind, dict[str, Any]]:
    """The kind and the whole record.

    Raises:
        UndecodableError: says why it is no record of ours.
    """
    kind = kind_of(data)
    if data[:1] == b"{":
        return kind, cast("dict[str, Any]", decode_json_event(data))
    return kind, _read(kind, data)


def _read(kind: Kind, data: bytes) -> dict[str, Any]:
    stream = BytesIO(data)
    stream.seek(HEADER_BYTES)
    try:
        record = fastavro.schemaless_reader(stream, _PARSED[kind])
    # fastavro documents no set of errors for broken input; seen: EOFError, IndexError, UnicodeDecodeError, ...
    except Exception as error:
        raise UndecodableError("bad_avro", f"{kind}: {type(error).__name__}: {error}") from error
    if stream.tell() != len(data):
        raise UndecodableError("bad_avro", f"{kind}: {len(data) - stream.tell()} bytes too many")
    return cast("dict[str, Any]", record)


def decode_json_event(data: bytes) -> TrackedEvent:
    """A `TrackedEvent` from JSON: defaults filled in, unknown names refused.

    Raises:
        UndecodableError: with the byte position, or the field that does not fit.
    """
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate: no text, and no row could hold it
    except (ValueError, RecursionError) as error:
        raise UndecodableError("bad_json", str(error)) from error
    if not isinstance(value, dict):
        raise UndecodableError("bad_event", "expected a JSON object")
    event = _complete(value, SCHEMAS["TrackedEvent"])
    try:
        validate(event, _PARSED["TrackedEvent"], raise_errors=True)
    except ValidationError as error:
        raise UndecodableError("bad_event", _misfit(error)) from error
    return cast("TrackedEvent", event)


_JSON_NAMES = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    dict: "an object",
    list: "a list",
}
_AVRO_NAMES = {
    "string": "text",
    "boolean": "true or false",
    "long": "a number",
    "double": "a number",
    "map": "an object",
    "array": "a list",
}
_TIME_FIELDS = ("occurred_at", "received_at")
_SET_ON_RECEIPT = frozenset({"received_at", "email_domain", "email_kind", "phone_kind"})  # not for a sender to say
_OTHER_NAMES = {"timestamp": "occurred_at", "messageid": "event_id", "message_id": "event_id"}


def _misfit(error: ValidationError) -> str:
    """The deepest field that does not fit, what stands there and what may. Never the value: it may be personal."""
    last = error.errors[-1]
    types = [one.schema for one in error.errors if one.field == last.field]
    expected = " or ".join(dict.fromkeys(words for type_ in types if (words := _in_words(type_))))
    found = _JSON_NAMES.get(type(last.datum), "null")
    name = _snake(last.field.rpartition(".v1.")[2].removeprefix("TrackedEvent."))
    if name in _TIME_FIELDS:
        expected = "milliseconds since 1970, a whole number such as 1772442000000"
    return f"{name}: expected {expected}, found {found}"


def _in_words(type_: Any) -> str:
    """Empty for null: a name may as well be left out."""
    if isinstance(type_, dict) and "fields" in type_:
        return f'an object such as {{"{type_["fields"][0]["name"]}": ...}}'
    return _AVRO_NAMES.get(type_["type"] if isinstance(type_, dict) else type_, "")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _complete(value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """`value` with the defaults of the schema, also inside nullable records."""
    names = [field["name"] for field in schema["fields"]]
    unknown = sorted(set(value) - set(names))
    if unknown:
        raise UndecodableError("bad_event", f"unknown field {unknown[0]!r}{_nearest(unknown[0], names)}")
    done: dict[str, Any] = {}
    for field in schema["fields"]:
        name = field["name"]
        if name not in value:
            if "default" not in field:
                raise UndecodableError("bad_event", f"field {name!r} is missing")
            done[name] = field["default"]
            continue
        inner = next((t for t in _options(field["type"]) if isinstance(t, dict) and t["type"] == "record"), None)
        nested = value[name]
        done[name] = _complete(nested, inner) if inner is not None and isinstance(nested, dict) else nested
    return done


def _nearest(unknown: str, names: list[str]) -> str:
    known = [name for name in names if name not in _SET_ON_RECEIPT]
    meant = did_you_mean(_OTHER_NAMES.get(unknown.lower(), unknown), known)
    return f".{meant}" if meant else f"; known: {', '.join(known)}"


def _options(type_: Any) -> list[Any]:
    return type_ if isinstance(type_, list) else [type_]
