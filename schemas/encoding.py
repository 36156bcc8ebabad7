"""An encoder generated from a schema, for the records that are written most.

It is plain Python, a few lines per field, and several times as fast as fastavro where a record is an array of small
records with optional fields; property tests hold it equal to fastavro, byte for byte. The Avro binary encoding:
https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, named like one
from typing import Any

from schemas.projection import UnsupportedSchemaError

Encoder = Callable[[bytes, Mapping[str, Any]], bytes]

_ONE_BYTE = [bytes([number << 1]) for number in range(64)]  # of 0 to 63, as most numbers and lengths are
_MAX_KEPT = 1000  # values of a type


def compile_encoder(schema: Mapping[str, Any], repeated: Iterable[str] = ()) -> Encoder:
    """A function `(prefix, record) -> prefix + Avro body`.

    The function raises TypeError or ValueError for a record that does not fit the schema; of a union it takes the first
    branch that fits the value. Of fields whose names are in `repeated` it keeps the encoded values.

    Raises:
        UnsupportedSchemaError: for types other than null, boolean, int, long, double, string, array, map, record and
            unions of these.
    """
    writer = _Writer(repeated)
    writer.line(0, "def encode(prefix, r):")
    writer.line(1, "out = [prefix]")
    writer.line(1, "try:")
    writer.value(2, schema, "r")
    writer.line(1, "except (AttributeError, KeyError, StructError) as error:")
    writer.line(2, "raise TypeError(f'{type(error).__name__}: {error}') from error")
    writer.line(1, "return b''.join(out)")
    namespace: dict[str, Any] = {
        "short": _ONE_BYTE,
        "long": _long,
        "utf8": str.encode,  # a TypeError for anything but text
        **writer.kept,
        "double": Struct("<d").pack,
        "StructError": StructError,
    }
    exec("\n".join(writer.lines), namespace)  # noqa: S102 - the source is made from our own schema, not from data
    encode: Encoder = namespace["encode"]
    return encode


_six = Struct("6B").pack


def _long(number: int) -> bytes:
    """Zigzag varint."""
    if 1 << 34 <= number < 1 << 41:  # six bytes: a time in milliseconds, until 2039
        n = number << 1
        return _six(
            n & 127 | 128, n >> 7 & 127 | 128, n >> 14 & 127 | 128, n >> 21 & 127 | 128, n >> 28 & 127 | 128, n >> 35
        )
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{number} does not fit into 64 bits")
    rest = number << 1 if number >= 0 else ~(number << 1)
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


class _Kept(dict[Any, bytes]):
    """Encoded values of one type."""

    def __init__(self, type_: Any) -> None:
        super().__init__()
        self._encode: Encoder = compile_encoder(type_)

    def __missing__(self, value: Any) -> bytes:
        if len(self) >= _MAX_KEPT:
            self.clear()
        self[value] = found = self._encode(b"", value)
        return found


_FITS = {
    "null": "{0} is None",
    "boolean": "isinstance({0}, bool)",
    "long": "type({0}) is int",
    "double": "type({0}) in (float, int)",
    "string": "isinstance({0}, str)",
    "array": "isinstance({0}, list)",
    "map": "isinstance({0}, dict)",
    "record": "isinstance({0}, dict)",
}


class _Writer:
    def __init__(self, repeated: Iterable[str]) -> None:
        self.lines: list[str] = []
        self._repeated = frozenset(repeated)
        self._variables = 0
        self._named: dict[str, Mapping[str, Any]] = {}
        self.kept: dict[str, _Kept] = {}  # by name in the source

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def _fresh(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _long(self, depth: int, number: str) -> None:
        self.line(depth, f"out.append(short[{number}] if 0 <= {number} < 64 else long({number}))")

    def _length(self, depth: int, of: str) -> None:
        length = self._fresh()
        self.line(depth, f"{length} = len({of})")
        self.line(depth, f"out.append(short[{length}] if {length} < 64 else long({length}))")

    def value(self, depth: int, type_: Any, value: str) -> None:
        """Lines that append the expression `value`."""
        if isinstance(type_, list):
            return self._union(depth, type_, value)
        type_ = self._resolved(type_)
        match type_["type"]:
            case "null":
                self.line(depth, "pass")
            case "boolean":
                self.line(depth, f"out.append(b'\\1' if {value} else b'\\0')")
            case "int" | "long":
                self._long(depth, value)
            case "double":
                self.line(depth, f"out.append(double({value}))")
            case "string":
                text = self._fresh()
                self.line(depth, f"{text} = utf8({value})")
                self._length(depth, text)
                self.line(depth, f"out.append({text})")
            case "array":
                self._items(depth, f"for {{0}} in {value}:", {"": type_["items"]}, value)
            case "map":
                self._items(depth, f"for {{0}}, {{1}} in {value}.items():", {"k": "string", "": type_["values"]}, value)
            case "record":
                for field in type_["fields"]:
                    name = self._fresh()
                    self.line(depth, f"{name} = {value}[{field['name']!r}]")
                    if field["name"] in self._repeated:
                        self.line(depth, f"out.append({self._kept_for(field['type'])}[{name}])")
                    else:
                        self.value(depth, field["type"], name)
            case other:
                raise UnsupportedSchemaError(f"no code for Avro type {other!r}")
        return None

    def _kept_for(self, type_: Any) -> str:
        name = "kept_" + "_or_".join(type_ if isinstance(type_, list) else [type_])
        if name not in self.kept:
            self.kept[name] = _Kept(type_)
        return name

    def _resolved(self, type_: Any) -> Mapping[str, Any]:
        """A type as a mapping; a name stands for the record that was defined before it."""
        if isinstance(type_, str):
            return self._named.get(type_.rpartition(".")[2], {"type": type_})
        if type_["type"] == "record":
            self._named[type_["name"]] = type_
        return type_  # type: ignore[no-any-return]  # from a JSON file

    def _union(self, depth: int, branches: Sequence[Any], value: str) -> None:
        for index, branch in enumerate(branches):
            resolved = self._resolved(branch)
            kind = "long" if resolved["type"] == "int" else resolved["type"]
            if kind not in _FITS:
                raise UnsupportedSchemaError(f"no code for Avro type {kind!r} in a union")
            self.line(depth, f"{'if' if index == 0 else 'elif'} {_FITS[kind].format(value)}:")
            self.line(depth + 1, f"out.append({_long(index)!r})")
            self.value(depth + 1, resolved, value)
        self.line(depth, f"else: raise TypeError('no branch of a union fits ' + type({value}).__name__)")

    def _items(self, depth: int, loop: str, types: Mapping[str, Any], value: str) -> None:
        """Arrays and maps are one block; an empty one has none."""
        names = {self._fresh(): type_ for type_ in types.values()}
        self.line(depth, f"if {value}:")
        self._length(depth + 1, value)
        self.line(depth + 1, loop.format(*names))
        for name, type_ in names.items():
            self.value(depth + 2, type_, name)
        self.line(depth, "out.append(b'\\0')")
