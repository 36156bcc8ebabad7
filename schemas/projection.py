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
    fields that are not wanted is not checked.

    Raises:
        UnsupportedSchemaError: for types other than null, boolean, int, long, double, bytes, string, array, map,
            record and unions of these.
    """
    writer = _Writer()
    names = frozenset(wanted)
    writer.line(0, "def project(d, p):")
    writer.line(1, "try:")
    writer.fields(schema["fields"], names)
    pairs = ", ".join(f"{f['name']!r}: f{i}" for i, f in enumerate(schema["fields"]) if f["name"] in names)
    writer.line(1, "except (IndexError, StructError, UnicodeDecodeError) as error:")
    writer.line(2, "raise MalformedError(f'{type(error).__name__}: {error}') from error")
    writer.line(1, "if p != len(d):")
    writer.line(2, "raise MalformedError(f'expected {p} bytes, found {len(d)}')")
    writer.line(1, f"return {{{pairs}}}")
    namespace: dict[str, Any] = {
        "long_tail": _long_tail,
        "double": Struct("<d").unpack_from,
        "StructError": StructError,
        "MalformedError": MalformedError,
    }
    exec("\n".join(writer.lines), namespace)  # noqa: S102 - the source is made from our own schema, not from data
    project: Projection = namespace["project"]
    return project


def _long_tail(data: bytes, position: int, first: int) -> tuple[int, int]:
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


class _Writer:
    """Writes the source; `read` leaves the value in a variable, `skip` only moves the position."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._variables = 0

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def _fresh(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _long(self, depth: int, target: str | None) -> None:
        value = target or self._fresh()
        self.line(depth, f"{value} = d[p]; p += 1")
        self.line(depth, f"if {value} > 127: {value}, p = long_tail(d, p, {value})")
        if target:
            self.line(depth, f"{target} = ({target} >> 1) ^ -({target} & 1)")

    def _length(self, depth: int, target: str) -> None:
        self._long(depth, target)
        self.line(depth, f"if {target} < 0: raise MalformedError('a negative length')")

    def fields(self, fields: Sequence[Mapping[str, Any]], wanted: frozenset[str]) -> None:
        """The top level. A run of nullable fields that are all null, as most are, is one comparison."""
        numbered = [(f"f{index}" if field["name"] in wanted else None, field) for index, field in enumerate(fields)]
        for nullable, run in groupby(
            numbered, lambda item: isinstance(item[1]["type"], list) and item[1]["type"][0] == "null"
        ):
            members, depth = list(run), 2
            if nullable and len(members) > 2:
                targets = [target for target, _ in members if target]
                self.line(2, f"if d[p:p+{len(members)}] == {bytes(len(members))!r}:")
                self.line(3, f"{' = '.join([*targets, 'None'])}; p += {len(members)}")
                self.line(2, "else:")
                depth = 3
            for target, field in members:
                self._one(depth, field["type"], target)

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
                self._record(depth, type_, target)
            case _:
                raise UnsupportedSchemaError(f"no code for Avro type {name!r}")
        return None

    def _bytes(self, depth: int, target: str | None, *, text: bool) -> None:
        length = self._fresh()
        self._length(depth, length)
        if target:
            self.line(depth, f"{target} = d[p:p+{length}]{'.decode()' if text else ''}")
        self.line(depth, f"p += {length}")

    def _union(self, depth: int, branches: list[Any], target: str | None) -> None:
        """The index of a branch is a zigzag varint; with under 64 branches it is one byte, twice the index."""
        branch = self._fresh()
        self.line(depth, f"{branch} = d[p]; p += 1")
        for index, type_ in enumerate(branches):
            self.line(depth, f"{'if' if index == 0 else 'elif'} {branch} == {2 * index}:")
            self._one(depth + 1, type_, target)
        self.line(depth, f"else: raise MalformedError('a union has no branch ' + str({branch} / 2))")

    def _record(self, depth: int, schema: Mapping[str, Any], target: str | None) -> None:
        values: list[tuple[str, str]] = []
        for field in schema["fields"]:
            value = self._fresh() if target else None
            self._one(depth, field["type"], value)
            if value:
                values.append((field["name"], value))
        if target:
            self.line(depth, f"{target} = {{{', '.join(f'{name!r}: {value}' for name, value in values)}}}")

    def _blocks(self, depth: int, schema: Mapping[str, Any], target: str | None) -> None:
        """Arrays and maps come in blocks; a negative count is followed by the block's size in bytes."""
        is_map = schema["type"] == "map"
        count, size, key, value = self._fresh(), self._fresh(), self._fresh(), self._fresh()
        if target:
            self.line(depth, f"{target} = {'{}' if is_map else '[]'}")
        self.line(depth, "while True:")
        self._long(depth + 1, count)
        self.line(depth + 1, f"if {count} == 0: break")
        self.line(depth + 1, f"if {count} < 0:")
        self.line(depth + 2, f"{count} = -{count}")
        self._long(depth + 2, size)
        self.line(depth + 1, f"if {count} > len(d): raise MalformedError('a block longer than the record')")
        self.line(depth + 1, f"for _ in range({count}):")
        if is_map:
            self._bytes(depth + 2, key if target else None, text=True)
        self._one(depth + 2, schema["values" if is_map else "items"], value if target else None)
        if target:
            self.line(depth + 2, f"{target}[{key}] = {value}" if is_map else f"{target}.append({value})")
