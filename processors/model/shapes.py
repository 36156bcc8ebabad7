"""The forms a value of the file may have. One declaration serves three: reading, defaults, and the JSON Schema.

`read` turns nodes into plain values (a *tree*: dict, list, str, float, bool, None) and records what is wrong; where a
value is wrong or missing the tree holds a harmless one, so that the rest of the file is checked too.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

from processors.model.problems import Findings, Path, shown
from processors.model.scalars import WrongValueError
from processors.model.yaml_nodes import Entries, Items, Node, Text, read_nodes
from schemas.nearest import did_you_mean, nearest

Schema = dict[str, Any]


class Shape(Protocol):
    def read(self, node: Node, path: Path, findings: Findings) -> Any: ...
    def harmless(self) -> Any:
        """Stands in the tree for a wrong value."""

    def schema(self) -> Schema: ...


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `parse` raises `WrongValueError`; `json` is the JSON Schema of the value as an editor sees it."""

    parse: Callable[[str], Any]
    json: Mapping[str, Any]
    stand_in: Any = None

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        findings.place(path, node.line, node.column)
        if not isinstance(node, Text):
            findings.error(path, f"expected one value, found a {kind_of(node)}. Write the value alone.")
        elif not node.text.strip():
            findings.error(path, "is empty. Write a value, or leave the key out.")
        else:
            try:
                return self.parse(node.text.strip())
            except WrongValueError as error:
                findings.error(path, shown_message(error))
        return self.stand_in

    def harmless(self) -> Any:
        return self.stand_in

    def schema(self) -> Schema:
        return dict(self.json)


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """`x` and `[x]` mean the same; the tree always holds a list."""

    each: Scalar
    most: int = 500

    def read(self, node: Node, path: Path, findings: Findings) -> list[Any]:
        if not isinstance(node, Items):
            value = self.each.read(node, path, findings)
            return [] if value is None else [value]
        findings.place(path, node.line, node.column)
        if not 1 <= len(node.items) <= self.most:
            findings.error(path, f"{len(node.items)} values. Write 1 to {self.most}.")
            return []
        values = [self.each.read(item, (*path, index), findings) for index, item in enumerate(node.items)]
        return [value for value in values if value is not None]

    def harmless(self) -> list[Any]:
        return []

    def schema(self) -> Schema:
        each = self.each.schema()
        return {"anyOf": [each, {"type": "array", "items": each, "minItems": 1, "maxItems": self.most}]}


@dataclass(frozen=True, slots=True)
class Many:
    """A list of mappings; `unique` names the key whose values must differ."""

    each: Shape
    most: int
    unique: str | None = None

    def read(self, node: Node, path: Path, findings: Findings) -> list[Any]:
        findings.place(path, node.line, node.column)
        if not isinstance(node, Items):
            findings.error(path, f"expected a list, found a {kind_of(node)}. Begin each entry with a dash.")
            return []
        if len(node.items) > self.most:
            findings.error(path, f"{len(node.items)} entries. At most {self.most} are read.")
        trees = [self.each.read(item, (*path, index), findings) for index, item in enumerate(node.items[: self.most])]
        if self.unique:
            self._refuse_repeats(trees, path, findings, self.unique)
        return trees

    @staticmethod
    def _refuse_repeats(trees: list[Any], path: Path, findings: Findings, key: str) -> None:
        first: dict[str, int] = {}
        for index, tree in enumerate(trees):
            value = tree[key]
            if value and first.setdefault(value, index) != index:
                where = f"{path[-1]}[{first[value]}]"
                findings.error((*path, index, key), f'"{value}" is the {key} of {where} too. Choose another.')

    def harmless(self) -> list[Any]:
        return []

    def schema(self) -> Schema:
        return {"type": "array", "items": self.each.schema(), "maxItems": self.most}


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping of free ids to one shape."""

    name: Scalar
    each: Shape
    most: int

    def read(self, node: Node, path: Path, findings: Findings) -> dict[str, Any]:
        findings.place(path, node.line, node.column)
        if not isinstance(node, Entries):
            findings.error(path, f"expected a mapping, found a {kind_of(node)}. Write id: {{...}} for each.")
            return {}
        if len(node.entries) > self.most:
            findings.error(path, f"{len(node.entries)} entries. At most {self.most} are read.")
        tree: dict[str, Any] = {}
        for key, value in node.entries[: self.most]:
            name = self.name.read(key, (*path, key.text), findings)
            tree[name or key.text] = self.each.read(value, (*path, key.text), findings)
        return tree

    def harmless(self) -> dict[str, Any]:
        return {}

    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": self.name.schema(),
            "additionalProperties": self.each.schema(),
            "maxProperties": self.most,
        }


@dataclass(slots=True, eq=False)
class Key:
    """One key of a mapping. `default` is text of the file format, read by the same shape; None: absent."""

    shape: Shape
    doc: str = ""
    default: str | None = None
    required: bool = False
    value: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.default is None:
            return
        findings = Findings("default")
        node = read_nodes(self.default, findings)
        self.value = self.shape.read(node, (), findings) if node is not None else None
        if findings.errors:
            raise ValueError(f"default {self.default!r} does not fit its own shape: {findings.errors[0]}")

    def absent(self) -> Any:
        """What the tree holds where the key is not written; a copy, for the tree is completed in place."""
        return self.shape.harmless() if self.required else deepcopy(self.value)

    def schema(self) -> Schema:
        schema = self.shape.schema()
        return {"description": self.doc, **schema} if self.doc else schema


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping with a closed set of keys; the tree holds all of them."""

    keys: Mapping[str, Key]

    def read(self, node: Node, path: Path, findings: Findings) -> dict[str, Any]:
        findings.place(path, node.line, node.column)
        if not isinstance(node, Entries):
            findings.error(path, f"expected a mapping, found a {kind_of(node)}. Write {self._example()}.")
            return self.harmless()
        tree = self.harmless()
        for key, value in node.entries:
            if key.text in self.keys:
                tree[key.text] = self.keys[key.text].shape.read(value, (*path, key.text), findings)
            else:
                unknown_key(key, path, findings, list(self.keys))
        refuse_missing(self.keys, node, path, findings)
        return tree

    def _example(self) -> str:
        first = next(iter(self.keys))
        return f"keys such as {first}:"

    def harmless(self) -> dict[str, Any]:
        return {name: key.absent() for name, key in self.keys.items()}

    def schema(self) -> Schema:
        required = [name for name, key in self.keys.items() if key.required]
        return {
            "type": "object",
            "properties": {name: key.schema() for name, key in self.keys.items()},
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }


def unknown_key(key: Text, path: Path, findings: Findings, known: list[str]) -> None:
    message = f"unknown key.{did_you_mean(key.text, known)} Known here: {', '.join(known)}."
    findings.error((*path, key.text), message, (key.line, key.column))


def refuse_missing(keys: Mapping[str, Key], node: Entries, path: Path, findings: Findings) -> None:
    """A key that is only misspelt is not missing too."""
    written = {key.text for key, _ in node.entries}
    meant = {nearest(name, list(keys)) for name in written - set(keys)}
    for name, key in keys.items():
        if key.required and name not in written | meant:
            findings.error(path, f'the key "{name}" is missing. Add it.')


def kind_of(node: Node) -> str:
    return {Text: "single value", Items: "list", Entries: "mapping"}[type(node)]


def shown_message(error: WrongValueError) -> str:
    """The message of a parser, which quotes text of the file: one printable line, not longer than some lines."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return plain if len(plain) <= 300 else f"{shown(plain)} {plain[-120:]}"
