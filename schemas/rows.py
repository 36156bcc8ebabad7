"""Rows <-> bytes: the only user of msgspec.

A row is the state of one lead. In the changelog and in a worker's memory it is packed: a fixed header, then the body
as MessagePack. The header holds the version and the wake-up hint, so that recovery opens no body. A row without a
body is `gone`: it only remembers its version until the next commit lets it be deleted.
"""

from struct import Struct as Layout
from typing import TypeVar

import msgspec

from schemas.records import Text

ROW_FORMAT = 1
_HEADER = Layout("<BIqqq")  # format, epoch, offset, wake_at (ms), stamp of the model the hint was made with
NEVER_MS = 2**62
R = TypeVar("R")

Version = tuple[int, int]  # (epoch, offset) of the last record that changed the row
# Most are whole, and MessagePack writes a small int in one byte, a float in nine.
Number = int | float
Hit = tuple[str, Number, Number, tuple[str, ...]]  # rule, units (with `per`), weight (without), tags
Entry = tuple[int, bytes, Number, Number, tuple[str, ...]]  # act time, id8, units, weight, tags


def number(value: float) -> Number:
    """The same number, as an int where it is whole."""
    return int(value) if value.is_integer() else value


class Header(msgspec.Struct, frozen=True, gc=False):
    version: Version
    wake_at: int
    model_stamp: int
    gone: bool


class Tally(msgspec.Struct, array_like=True, gc=False):
    """Faded units of one rule, or of one `rule#tag`.

    Attributes:
        x: sum of `units * 2^((t - ref) / half_life_ms)` over the acts that pay (forward decay, Cormode et al., ICDE
            2009); for a limited rule those in its buckets are among them.
        count: acts that fitted, paid or not.
    """

    half_life_ms: Number
    x: float = 0.0
    count: int = 0
    last_at: int = 0
    last_id: str = ""
    subject: str = ""


class Bucket(msgspec.Struct, array_like=True, gc=False):
    """The best acts of one calendar window of a limited rule, the least first.

    Attributes:
        touched: row time when an act was put to it last; 0 for one before the end of the window, which says enough.
    """

    touched: int
    entries: list[Entry]


class KeptTouch(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A `Touch` without its names, and the act that it is of.

    Attributes:
        click_id: (kind, value).
        campaign: source, medium, name, term, content, id.
    """

    at: int
    id8: bytes
    url: str | None
    referrer: str | None
    source: str | None
    click_id: tuple[str, str] | None
    campaign: tuple[str | None, ...] | None


class PricedRow(msgspec.Struct, array_like=True, gc=False):
    """What a price is made of, and all that people see of a lead. Times are ms UTC.

    Attributes:
        now: row time.
        ref: the time that `Tally.x` counts from.
        traits: name -> (value, act time, id8); the last writer wins.
    """

    now: int
    stage: str
    entered_at: int
    cool_until: int = 0
    seq: int = 0
    prev: str = ""
    ref: int = 0
    tallies: dict[str, Tally] = {}
    traits: dict[str, tuple[Text, int, bytes]] = {}
    first_touch: KeptTouch | None = None
    last_touch: KeptTouch | None = None
    first_at: int | None = None
    last_at: int | None = None
    visits: int = 0


class Row(PricedRow, array_like=True, gc=False):
    """State of one lead; its first fields can be read alone. Ids are `id8` (schemas/keys.py).

    Attributes:
        limited: rule -> window start * 256 + slot -> bucket; `entries`: how many acts and tags are in all of them.
        window: id8 -> act time: what a repeat is recognised by.
        paid: id8 -> hits of rules without a limit, of the acts in the window that have any; `hits`: how many hits and
            tags these are.
        fences: source -> highest number accepted from it.
        model_stamp: the model by which the row was folded last (`ActiveModel.stamp`).
        evict_day: before this day of row time (days since 1970 UTC) there is nothing to forget; 0: look.
    """

    model_stamp: int = 0
    limited: dict[str, dict[int, Bucket]] = {}
    entries: int = 0
    window: dict[bytes, int] = {}
    paid: dict[bytes, tuple[Hit, ...]] = {}
    hits: int = 0
    fences: dict[str, int] = {}
    seen_at: int = 0
    evict_day: int = 0


class _RowStart(msgspec.Struct, array_like=True, gc=False):
    """The first fields of a row; what follows is stepped over."""

    now: int
    stage: str


changed = msgspec.structs.replace  # a shallow copy of a row with some fields changed


class ModelEntry(msgspec.Struct, array_like=True, frozen=True):
    """An activation: from `version` on, the model `hash` (n-th) is in force. `at`: time of its record."""

    version: Version
    at: int
    n: int
    hash: str


class PartRow(msgspec.Struct, array_like=True):
    """The partition's own row: how far the log is folded, and by which models."""

    epoch: int
    next_offset: int
    fold_version: int
    models: list[ModelEntry]


_encoder = msgspec.msgpack.Encoder()
_row_decoder = msgspec.msgpack.Decoder(Row)
_priced_decoder = msgspec.msgpack.Decoder(PricedRow)
_start_decoder = msgspec.msgpack.Decoder(_RowStart)
_part_decoder = msgspec.msgpack.Decoder(PartRow)
# Text that is no UTF-8, and nesting without end, come out of msgspec as Python's own errors.
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class UnreadableRowError(ValueError):
    """The bytes are no row of a format known here."""


def pack_row(version: Version, wake_at: int, model_stamp: int, row: Row | None) -> bytes:
    """The row with its header; `None` packs a `gone` row."""
    header = _HEADER.pack(ROW_FORMAT, version[0], version[1], wake_at, model_stamp)
    return header if row is None else header + _encoder.encode(row)


def read_header(data: bytes) -> Header:
    """The header alone.

    Raises:
        UnreadableRowError: too short, or of another format.
    """
    if len(data) < _HEADER.size:
        raise UnreadableRowError(f"{len(data)} bytes, expected at least {_HEADER.size}")
    row_format, epoch, offset, wake_at, model_stamp = _HEADER.unpack_from(data)
    if row_format != ROW_FORMAT:
        raise UnreadableRowError(f"row format {row_format}; this build reads {ROW_FORMAT}")
    return Header((epoch, offset), wake_at, model_stamp, gone=len(data) == _HEADER.size)


def unpack_row(data: bytes) -> Row:
    """The body.

    Raises:
        UnreadableRowError: the body does not decode.
    """
    return _decoded(_row_decoder, data)


def unpack_priced(data: bytes) -> PricedRow:
    """The first fields of the body, in half the time.

    Raises:
        UnreadableRowError: the body does not decode.
    """
    return _decoded(_priced_decoder, data)


def stage_of(data: bytes) -> str:
    """The stage of a packed row that is not gone.

    Raises:
        UnreadableRowError: the body does not decode.
    """
    return _decoded(_start_decoder, data).stage


def _decoded(decoder: "msgspec.msgpack.Decoder[R]", data: bytes) -> R:
    try:
        return decoder.decode(memoryview(data)[_HEADER.size :])
    except _UNDECODABLE as error:
        raise UnreadableRowError(str(error)) from error


def pack_part(part: PartRow) -> bytes:
    return bytes([ROW_FORMAT]) + _encoder.encode(part)


def unpack_part(data: bytes) -> PartRow:
    """Raises UnreadableRowError."""
    if data[:1] != bytes([ROW_FORMAT]):
        raise UnreadableRowError(f"part row of format {data[:1].hex()}; this build reads {ROW_FORMAT:02x}")
    try:
        return _part_decoder.decode(memoryview(data)[1:])
    except _UNDECODABLE as error:
        raise UnreadableRowError(str(error)) from error
