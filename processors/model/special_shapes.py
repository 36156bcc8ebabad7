"""Two forms with rules of their own: what ends a stage, and the acts that a test of the model gives."""

from dataclasses import dataclass
from typing import Any

from processors.model import scalars
from processors.model.act_fields import ACT_FIELDS, OPEN_FIELDS, act_field_kind
from processors.model.problems import Findings, Path
from processors.model.shapes import Key, OneOrMore, Scalar, Schema, kind_of, refuse_missing, unknown_key
from processors.model.yaml_nodes import Entries, Items, Node, Text

Tree = dict[str, Any]
_FREE = {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True, slots=True)
class ExitTerms:
    """Tree: a list of {kind, bound, dimension, text}; any of them ends the stage."""

    def read(self, node: Node, path: Path, findings: Findings) -> list[Tree]:
        findings.place(path, node.line, node.column)
        if not isinstance(node, Entries) or len(node.entries) != 1:
            findings.error(path, "expected one of score, dimensions.<id>, idle, any. Write {score: below 40}.")
            return []
        key, value = node.entries[0]
        if key.text != "any":
            term = self._term(key, value, path, findings)
            return [term] if term else []
        if not isinstance(value, Items) or not value.items:
            findings.error((*path, "any"), "expected a list. Write [{score: below 40}, {idle: at least 90d}].")
            return []
        terms = [self._only_term(item, (*path, "any", index), findings) for index, item in enumerate(value.items)]
        return [term for term in terms if term]

    def _only_term(self, node: Node, path: Path, findings: Findings) -> Tree | None:
        findings.place(path, node.line, node.column)
        if not isinstance(node, Entries) or len(node.entries) != 1:
            findings.error(path, "expected one of score, dimensions.<id>, idle. Write {score: below 40}.")
            return None
        return self._term(*node.entries[0], path, findings)

    def _term(self, key: Text, value: Node, path: Path, findings: Findings) -> Tree | None:
        kind, _, dimension = key.text.partition(".")
        kind = "dimension" if kind == "dimensions" and dimension else kind
        at = (*path, key.text)
        if kind not in ("score", "dimension", "idle") or (dimension and kind != "dimension"):
            unknown_key(key, path, findings, ["score", "dimensions.<id>", "idle", "any"])
            return None
        findings.place(at, value.line, value.column)
        text = value.text if isinstance(value, Text) else ""
        test = scalars.split_test(text)
        operator, example = ("at least", "at least 90d") if kind == "idle" else ("below", "below 40")
        if test is None or test[0] != operator:
            findings.error(at, f'"{text}" cannot end a stage. Write {key.text}: {example}.')
            return None
        parse = scalars.duration(never=False) if kind == "idle" else scalars.number()
        bound = Scalar(parse, {}).read(Text(value.line, value.column, test[1], quoted=False), at, findings)
        return None if bound is None else {"kind": kind, "bound": bound, "dimension": dimension, "text": key.text}

    def harmless(self) -> list[Tree]:
        return []

    def schema(self) -> Schema:
        below: Schema = {"type": "string", "pattern": "^below "}
        terms: Schema = {"score": below, "idle": {"type": "string", "pattern": "^at least "}}
        one: Schema = {
            "type": "object",
            "patternProperties": {"^dimensions[.].": below},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        several: Schema = {"type": "array", "items": {**one, "properties": terms}, "minItems": 1}
        return {**one, "properties": {**terms, "any": several}}


@dataclass(frozen=True, slots=True)
class GivenAct:
    """An act of a test: its fields as data, not as patterns; or `feedback: word`. Tree: {at, fields}."""

    at: Key

    def read(self, node: Node, path: Path, findings: Findings) -> Tree:
        findings.place(path, node.line, node.column)
        tree = self.harmless()
        if not isinstance(node, Entries):
            message = f"expected a mapping, found a {kind_of(node)}. Write {{at: 0d, event: page_view}}."
            findings.error(path, message)
            return tree
        for key, value in node.entries:
            at = (*path, key.text)
            if key.text == "at":
                tree["at"] = self.at.shape.read(value, at, findings)
            elif shape := self._shape(key.text):
                tree["fields"][key.text] = shape.read(value, at, findings)
            else:
                known = ["at", *ACT_FIELDS, *(f"{prefix}*" for prefix in OPEN_FIELDS), "feedback"]
                unknown_key(key, path, findings, known)
        refuse_missing({"at": self.at}, node, path, findings)
        fields = tree["fields"]
        if ("event" in fields) == ("feedback" in fields) or ("feedback" in fields and len(fields) > 1):
            findings.error(path, "neither one act nor one answer. Write event: page_view, or feedback: accepted alone.")
        return tree

    @staticmethod
    def _shape(name: str) -> Scalar | OneOrMore | None:
        if name == "feedback":
            return Scalar(scalars.word, {"type": "string"})
        kind = act_field_kind(name)
        if kind == "number":
            return Scalar(scalars.number(low=0), {"type": "number"})
        if kind == "any":
            return OneOrMore(Scalar(scalars.free_text, _FREE))
        return None if kind is None else Scalar(scalars.free_text, _FREE)

    def harmless(self) -> Tree:
        return {"at": 0.0, "fields": {}}

    def schema(self) -> Schema:
        names = [*ACT_FIELDS, "feedback"]
        properties = {name: shape.schema() for name in names if (shape := self._shape(name))}
        opened = OneOrMore(Scalar(scalars.free_text, _FREE)).schema()
        return {
            "type": "object",
            "properties": {"at": self.at.schema(), **properties},
            "patternProperties": {f"^{prefix.replace('.', '[.]')}.": opened for prefix in OPEN_FIELDS},
            "additionalProperties": False,
            "required": ["at"],
        }
