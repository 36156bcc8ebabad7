"""Can a reader with the new schema read what was written with the old one? Avro's rules of schema resolution:
https://avro.apache.org/docs/1.12.0/specification/#schema-resolution, for the types that our contracts use.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_PROMOTIONS = {
    "int": {"int", "long", "float", "double"},
    "long": {"long", "float", "double"},
    "float": {"float", "double"},
    "string": {"string", "bytes"},
    "bytes": {"bytes", "string"},
}
Schema = str | list[Any] | Mapping[str, Any]


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """One line for each place where a reader of `new` cannot read `old`; empty if it can read all of it."""
    return list(_Comparison({}, {}).compare(old, new, "the record"))


class _Comparison:
    def __init__(self, old_names: dict[str, Any], new_names: dict[str, Any]) -> None:
        self._old_names = old_names
        self._new_names = new_names

    def compare(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        old, new = _resolved(old, self._old_names), _resolved(new, self._new_names)
        if isinstance(old, list):  # whatever was written must be readable
            for branch in old:
                yield from self.compare(branch, new, where)
            return
        if isinstance(new, list):
            if not any(not list(self._fresh().compare(old, branch, where)) for branch in new):
                yield f"{where}: {_name(old)} is none of what is read"
            return
        kind, wanted = _kind(old), _kind(new)
        if kind != wanted:
            if wanted not in _PROMOTIONS.get(kind, {kind}):
                yield f"{where}: {kind} was written, {wanted} is read"
        elif kind == "record":
            yield from self._compare_fields(old, new, where)  # type: ignore[arg-type]  # a record is a mapping
        elif kind in {"array", "map"}:
            inner = "items" if kind == "array" else "values"
            yield from self.compare(old[inner], new[inner], f"{where}, its {inner}")  # type: ignore[index]  # both are mappings

    def _compare_fields(self, old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[str]:
        written = {field["name"]: field for field in old["fields"]}
        for field in new["fields"]:
            name = field["name"]
            if name in written:
                yield from self.compare(written[name]["type"], field["type"], f"{where}, {name}")
            elif "default" not in field:
                yield f"{where}: {name} is new and has no default"

    def _fresh(self) -> "_Comparison":
        return _Comparison(dict(self._old_names), dict(self._new_names))


def _resolved(schema: Schema, names: dict[str, Any]) -> Schema:
    if isinstance(schema, str):
        found: Schema = names.get(schema, schema)
        return found
    if isinstance(schema, Mapping) and schema["type"] == "record":
        names[schema["name"]] = schema
    return schema


def _kind(schema: Schema) -> str:
    return schema if isinstance(schema, str) else str(schema["type"])  # type: ignore[call-overload]  # no union comes here


def _name(schema: Schema) -> str:
    return schema if isinstance(schema, str) else str(schema.get("name", schema["type"]))  # type: ignore[union-attr, call-overload]  # as above
