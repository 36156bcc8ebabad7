"""A decoder generated from the writer's schema, for just the fields a reader wants.

fastavro builds every field of a record; here a field that nobody asked for is stepped over. The generated function is
plain Python, one line per primitive, and is held equal to fastavro by property tests. The Avro binary encoding:
https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, named like one
from typing import Any

Projection = Callable[[bytes, int], dict[str, Any]]


class UnsupportedSchemaError(ValueError):
    """The schema has a type that the generator does not write code for; use fastavro."""


class MalformedError(ValueError):
    """The bytes do not follow the schema."""


def compile_projection(schema: Mapping[str, Any], wanted: Iterable[str]) -> Projection:
    """A function `(data, start) -> {field: value}` for the wanted top-level fields of a record schema.

    The function reads to the end of the record: bytes that are missing or left over raise `MalformedError`. Text in
    fields that are not wanted is not checked. Records may share the values of fields: change none.

    Raises:
        UnsupportedSchemaError: for types other than null, boolean, int, long, double, bytes, string, array, map,
            record and unions of these.
    """
    writer = _Writer()
    names = frozenset(wanted)
    writer.line(0, "def project(d, p):")
    writer.line(1, "try:")
    writer.record(2, [(field, field["name"] in names) for field in schema["fields"]], "record")
    writer.line(1, "except (IndexError, StructError, UnicodeDecodeError) as error:")
    writer.line(2, "raise MalformedError(f'{type(error).__name__}: {error}') from error")
    writer.line(1, "if p != len(d):")
    writer.line(2, "raise MalformedError(f'expected {p} bytes, found {len(d)}')")
    writer.line(1, "return record")
    namespace: dict[str, Any] = {
        "long": _long,
        "twice_length": _twice_length,
        "double": Struct("<d").unpack_from,
        "StructError": StructError,
        "MalformedError": MalformedError,
        **writer.nulls,
        **writer.remembered,
    }
    exec("\n".join(writer.lines), namespace)  # noqa: S102 - the source is made from our own schema, not from data
    project: Projection = namespace["project"]
    return project


_five = Struct("5B").unpack_from
_FIVE_HIGH_BITS = sum(0x80 << shift for shift in (0, 7, 14, 21, 28))


def _long(data: bytes, position: int, first: int) -> tuple[int, int]:
    """The number whose varint begins with `first` before `position` and goes on, and where it ends.

    A time in milliseconds has six bytes until 2039, so these are read without a loop.
    """
    if position + 5 <= len(data):
        b, c, d, e, last = _five(data, position)
        if b & c & d & e > 127 and last < 128:
            value = first + (b << 7) + (c << 14) + (d << 21) + (e << 28) + (last << 35) - _FIVE_HIGH_BITS
            return ~(value >> 1) if value & 1 else value >> 1, position + 5
    value, position = _tail(data, position, first)
    return (value >> 1) ^ -(value & 1), position


def _twice_length(data: bytes, position: int, first: int) -> tuple[int, int]:
    """Twice the length whose varint begins with `first`, which goes on or is odd: the length is negative then."""
    if first > 127:
        first, position = _tail(data, position, first)
    if first & 1:
        raise MalformedError("a negative length")
    return first, position


def _tail(data: bytes, position: int, first: int) -> tuple[int, int]:
    """The rest of a varint whose first byte had its high bit set; still zigzag-coded."""
    value, shift = first & 0x7F, 7
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise MalformedError("a number of more than ten bytes")


_Field = tuple[Mapping[str, Any], bool]  # of a record schema; does anybody want it?


def _is_nullable(type_: Any) -> bool:
    return isinstance(type_, list) and type_[0] == "null"


def _is_often_the_same(record: Mapping[str, Any]) -> bool:
    """Of flags, texts and nothing else, such as the library that an event came with."""
    types = [
        t for field in record["fields"] for t in (field["type"] if isinstance(field["type"], list) else [field["type"]])
    ]
    return all(type_ in {"null", "boolean", "string"} for type_ in map(str, types))


class _Writer:
    """Writes the source; `read` leaves the value in a variable, `skip` only moves the position."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.nulls: dict[str, dict[str, None]] = {}  # by name in the source: records with no value yet
        self.remembered: dict[str, list[tuple[Any, Any]]] = {}  # by name in the source
        self._variables = 0

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def _fresh(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _long(self, depth: int, target: str | None) -> None:
        if target is None:
            end = self._fresh()
            self.line(depth, f"{end} = p + 10")
            self.line(depth, "while d[p] > 127: p += 1")
            self.line(depth, "p += 1")
            self.line(depth, f"if p > {end}: raise MalformedError('a number of more than ten bytes')")
            return
        self.line(depth, f"{target} = d[p]; p += 1")
        self.line(depth, f"if {target} > 127: {target}, p = long(d, p, {target})")
        self.line(depth, f"else: {target} = ({target} >> 1) ^ -({target} & 1)")

    def record(self, depth: int, fields: Sequence[_Field], target: str | None) -> None:
        """A dictionary of the wanted fields."""
        if target:
            self.line(depth, f"{target} = {self._beginning(fields)}")
        for nullable, run in groupby(fields, lambda item: _is_nullable(item[0]["type"])):
            members = list(run)
            if nullable and len(members) > 2:
                self._nullable_run(depth, members, target)
            else:
                for field, wanted in members:
                    value = self._fresh() if target and wanted else None
                    self._one(depth, field["type"], value)
                    if value:
                        self.line(depth, f"{target}[{field['name']!r}] = {value}")

    def _remembered(self, depth: int, fields: Sequence[_Field], target: str) -> None:
        """The value of the last time, if the bytes are those of the last time: an encoding tells where it ends."""
        name, before, start = f"last{self._fresh()}", self._fresh(), self._fresh()
        self.remembered[name] = [((), None)]  # of bytes and value; nothing begins with ()
        self.line(depth, f"{before}, {target} = {name}[0]")
        self.line(depth, f"if d.startswith({before}, p): p += len({before})")
        self.line(depth, "else:")
        self.line(depth + 1, f"{start} = p")
        self.record(depth + 1, fields, target)
        self.line(depth + 1, f"{name}[0] = d[{start}:p], {target}")

    def _beginning(self, fields: Sequence[_Field]) -> str:
        """A dictionary where all is null is copied in a third of the time that it takes to build one."""
        if not any(_is_nullable(field["type"]) for field, _ in fields):
            return "{}"
        name = f"nulls{len(self.nulls)}"
        self.nulls[name] = {field["name"]: None for field, wanted in fields if wanted}
        return f"{name}.copy()"

    def _nullable_run(self, depth: int, fields: Sequence[_Field], target: str | None) -> None:
        """Most of these are null: first, and after each that is not, one comparison tells whether all the rest is.

        The `while` runs once; it is there for the `break`.
        """
        self.line(depth, "while True:")
        self._break_if_null(depth + 1, len(fields))
        for rest, (field, wanted) in zip(reversed(range(len(fields))), fields, strict=True):
            value = self._fresh() if target and wanted else None
            branch = self._branch(depth + 1)
            self.line(depth + 1, f"if {branch}:")
            self._branches(depth + 2, branch, field["type"], value, first=1)
            if value:
                self.line(depth + 2, f"{target}[{field['name']!r}] = {value}")
            if rest > 1:
                self._break_if_null(depth + 2, rest)
        self.line(depth + 1, "break")

    def _break_if_null(self, depth: int, count: int) -> None:
        self.line(depth, f"if d[p:p+{count}] == {bytes(count)!r}: p += {count}; break")

    def _one(self, depth: int, type_: Any, target: str | None) -> None:
        if isinstance(type_, list):
            return self._union(depth, type_, target)
        name = type_ if isinstance(type_, str) else type_["type"]
        match name:
            case "null":
                self.line(depth, f"{target} = None" if target else "pass")
            case "boolean":
                self.line(depth, f"{target} = d[p] != 0; p += 1" if target else "d[p]; p += 1")
            case "int" | "long":
                self._long(depth, target)
            case "double":
                self.line(depth, f"{target} = double(d, p)[0]; p += 8" if target else "p += 8")
            case "string" | "bytes":
                self._bytes(depth, target, text=name == "string")
            case "array" | "map":
                self._blocks(depth, type_, target)
            case "record":
                fields = [(field, True) for field in type_["fields"]]
                if target and _is_often_the_same(type_):
                    self._remembered(depth, fields, target)
                else:
                    self.record(depth, fields, target)
            case _:
                raise UnsupportedSchemaError(f"no code for Avro type {name!r}")
        return None

    def _bytes(self, depth: int, target: str | None, *, text: bool) -> None:
        length = self._fresh()
        self.line(depth, f"{length} = d[p]; p += 1")
        self.line(depth, f"if {length} & 129: {length}, p = twice_length(d, p, {length})")  # long or odd
        if target:
            self.line(depth, f"{length} = p + ({length} >> 1)")
            self.line(depth, f"{target} = d[p:{length}]{'.decode()' if text else ''}; p = {length}")
        else:
            self.line(depth, f"p += {length} >> 1")

    def _union(self, depth: int, types: Sequence[Any], target: str | None) -> None:
        self._branches(depth, self._branch(depth), types, target)

    def _branch(self, depth: int) -> str:
        """The index of a branch is a zigzag varint; with under 64 branches it is one byte, twice the index."""
        branch = self._fresh()
        self.line(depth, f"{branch} = d[p]; p += 1")
        return branch

    def _branches(self, depth: int, branch: str, types: Sequence[Any], target: str | None, first: int = 0) -> None:
        for index, type_ in enumerate(types[first:], first):
            self.line(depth, f"{'if' if index == first else 'elif'} {branch} == {2 * index}:")
            self._one(depth + 1, type_, target)
        self.line(depth, f"else: raise MalformedError('a union has no branch ' + str({branch} / 2))")

    def _blocks(self, depth: int, schema: Mapping[str, Any], target: str | None) -> None:
        """Arrays and maps come in blocks; a negative count is followed by the block's size in bytes."""
        is_map = schema["type"] == "map"
        count, key, value = self._fresh(), self._fresh(), self._fresh()
        if target:
            self.line(depth, f"{target} = {'{}' if is_map else '[]'}")
        self.line(depth, "while True:")
        self._long(depth + 1, count)
        self.line(depth + 1, f"if {count} == 0: break")
        self.line(depth + 1, f"if {count} < 0:")
        self.line(depth + 2, f"{count} = -{count}")
        self._long(depth + 2, None)
        self.line(depth + 1, f"if {count} > len(d): raise MalformedError('a block longer than the record')")
        self.line(depth + 1, f"for _ in range({count}):")
        if is_map:
            self._bytes(depth + 2, key if target else None, text=True)
        self._one(depth + 2, schema["values" if is_map else "items"], value if target else None)
        if target:
            self.line(depth + 2, f"{target}[{key}] = {value}" if is_map else f"{target}.append({value})")
