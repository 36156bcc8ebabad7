"""Conditions as they stand in the file. In the tree: field -> list of values in normal form; `any`, `all` -> list of
conditions; `not` -> condition; `did` -> rule ids; `within` -> ms; `known` -> bool.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from processors.model import scalars
from processors.model.act_fields import ACT_FIELDS, OPEN_FIELDS, act_field_kind
from processors.model.lead_fields import LEAD_FIELDS, OPEN_LEAD_FIELDS, lead_field_kind
from processors.model.problems import Findings, Path
from processors.model.shapes import (
    Key,
    OneOrMore,
    Scalar,
    Schema,
    Shape,
    kind_of,
    refuse_missing,
    unknown_key,
)
from processors.model.yaml_nodes import Entries, Items, Node, Text
from schemas.event_names import normal_event_name

Tree = dict[str, Any]

_ANY_SCALAR = {"type": ["string", "number", "boolean"]}
_TEST = {"type": ["string", "number"]}


def _event(text: str) -> str:
    return normal_event_name(scalars.pattern(text))


VALUE_SHAPES: dict[str, Shape] = {
    "event": OneOrMore(Scalar(_event, {"type": "string"})),
    "url": OneOrMore(Scalar(scalars.pattern, _ANY_SCALAR)),
    "text": OneOrMore(Scalar(scalars.value, _ANY_SCALAR)),
    "any": OneOrMore(Scalar(scalars.value, _ANY_SCALAR)),
    "number": OneOrMore(Scalar(scalars.numeric_value, _TEST)),
    "duration": OneOrMore(Scalar(scalars.duration_value, {"type": "string"})),
    "bool": Scalar(scalars.boolean, {"type": "boolean"}),
}
DID = OneOrMore(Scalar(scalars.identifier, {"type": "string"}))
WITHIN = Scalar(scalars.duration(), {"type": "string"}, float("inf"))


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The fields that one kind of condition knows."""

    id: Literal["act", "lead"]
    kind: Callable[[str], str | None]
    names: tuple[str, ...]
    prefixes: Mapping[str, str]  # prefix of open fields -> kind
    special: Mapping[str, Shape] = field(default_factory=dict)

    def shape(self, name: str) -> Shape | None:
        if name in self.special:
            return self.special[name]
        kind = self.kind(name)
        return None if kind is None else VALUE_SHAPES[kind]

    def known(self) -> list[str]:
        return [*self.names, *(f"{prefix}*" for prefix in self.prefixes), *self.special]


ACT_WORDS = Vocabulary("act", act_field_kind, tuple(ACT_FIELDS), dict.fromkeys(OPEN_FIELDS, "any"))
LEAD_WORDS = Vocabulary("lead", lead_field_kind, tuple(LEAD_FIELDS), OPEN_LEAD_FIELDS, {"did": DID, "within": WITHIN})
JOINERS = ("any", "all", "not")


@dataclass(frozen=True, slots=True)
class Condition:
    """A mapping of fields and joiners. With `extra`, those keys stand beside the fields, and the tree is the extra keys
    with the condition under `when`.
    """

    words: Vocabulary
    extra: Mapping[str, Key] | None = None

    def read(self, node: Node, path: Path, findings: Findings) -> Tree:
        findings.place(path, node.line, node.column)
        tree = self.harmless()
        condition = tree if self.extra is None else tree["when"]
        if not isinstance(node, Entries):
            example = "event: page_view" if self.words.id == "act" else "score: at least 60"
            findings.error(path, f"expected a condition, found a {kind_of(node)}. Write {{{example}}}.")
            return tree
        for key, value in node.entries:
            at = (*path, key.text)
            if self.extra and key.text in self.extra:
                tree[key.text] = self.extra[key.text].shape.read(value, at, findings)
            else:
                self._read_entry(key, value, path, condition, findings)
        if self.extra:
            refuse_missing(self.extra, node, path, findings)
        if not any(key.text not in (self.extra or ()) for key, _ in node.entries):
            findings.error(path, "an empty condition would fit everything. Name at least one field.")
        if "within" in condition and "did" not in condition:
            findings.error((*path, "within"), '"within" belongs to "did". Add did: rule-id.')
        return tree

    def _read_entry(self, key: Text, value: Node, path: Path, condition: Tree, findings: Findings) -> None:
        at = (*path, key.text)
        shape = self.words.shape(key.text)
        if key.text == "not":
            condition["not"] = self._inner().read(value, at, findings)
        elif key.text in JOINERS:
            condition[key.text] = self._read_list(value, at, findings)
        elif shape is None:
            known = [*(self.extra or ()), *self.words.known(), *JOINERS]
            unknown_key(key, path, findings, known)
        else:
            condition[key.text] = shape.read(value, at, findings)

    def _read_list(self, node: Node, path: Path, findings: Findings) -> list[Tree]:
        findings.place(path, node.line, node.column)
        if not isinstance(node, Items) or not node.items:
            found = "an empty list" if isinstance(node, Items) else f"a {kind_of(node)}"
            findings.error(path, f"expected a list of conditions, found {found}. Write [{{...}}, {{...}}].")
            return []
        inner = self._inner()
        return [inner.read(item, (*path, index), findings) for index, item in enumerate(node.items)]

    def _inner(self) -> "Condition":
        return self if self.extra is None else Condition(self.words)

    def harmless(self) -> Tree:
        if self.extra is None:
            return {}
        return {name: key.absent() for name, key in self.extra.items()} | {"when": {}}

    def schema(self) -> Schema:
        if self.extra is None:
            return {"$ref": f"#/$defs/{self.words.id}"}
        schema = condition_schema(self.words)
        schema["properties"] = {**{name: key.schema() for name, key in self.extra.items()}, **schema["properties"]}
        required = [name for name, key in self.extra.items() if key.required]
        return {**schema, "required": required} if required else schema


def condition_schema(words: Vocabulary) -> Schema:
    """The JSON Schema of a whole condition; joiners refer to `$defs`."""
    each = {"$ref": f"#/$defs/{words.id}"}
    several = {"type": "array", "items": each, "minItems": 1}
    fields = {name: shape.schema() for name in words.names if (shape := words.shape(name))}
    fields |= {name: shape.schema() for name, shape in words.special.items()}
    opened = {f"^{prefix.replace('.', '[.]')}.": VALUE_SHAPES[kind].schema() for prefix, kind in words.prefixes.items()}
    return {
        "type": "object",
        "properties": {**fields, "any": several, "all": several, "not": each},
        "patternProperties": opened,
        "additionalProperties": False,
        "minProperties": 1,
    }
