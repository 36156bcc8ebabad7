"""YAML text -> nodes that know their place, with every scalar left as text.

Built from parser events rather than by `yaml.compose`, which resolves anchors and merges duplicate keys before anybody
can refuse them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from processors.model.problems import Findings, Path

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
# libyaml is ten times faster and comes with every wheel of PyYAML; a source build may lack it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep. Write it flatter."
_STAR = 'a value that begins with * needs quotes. Write "*/pricing*".'
# What the YAML parser says -> what a person can act on; the first that occurs in the message wins.
_PLAIN_WORDS = (
    ("scanning an alias", _STAR),
    ("cannot start any token", "a value cannot begin with this character (a tab, @, % or `). Put the value in quotes."),
    ("mapping values are not allowed", "a colon that cannot stand here: check the indentation, or quote the text."),
    ("',' or '}'", 'a "," or "}" is missing before this.'),
    ("',' or ']'", 'a "," or "]" is missing before this.'),
    ("could not find expected ':'", 'a ":" after a key is missing before this.'),
    ("expected key", "the indentation does not fit the lines above, or a key is missing."),
    ("'-' indicator", 'the indentation does not fit the list above, or a "-" is missing.'),
    ("block sequence entries are not allowed", 'a "-" cannot stand here. Begin the list on a new line.'),
    ("maximum nesting depth", _TOO_DEEP),  # libyaml has a bound of its own, and reads ahead
    ("quoted scalar", "a quote is not closed, or a backslash in double quotes is no escape."),
    ("expected <document start>", "text after the end of the model. Check the indentation."),
)


@dataclass(frozen=True, slots=True)
class Text:
    line: int
    column: int
    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Items:
    line: int
    column: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Entries:
    line: int
    column: int
    entries: tuple[tuple[Text, "Node"], ...]


Node = Text | Items | Entries


class _StopError(Exception):
    """Reading on would make no sense; the problem is recorded."""


def read_nodes(text: str, findings: Findings) -> Node | None:
    """The one document of `text`, or None with a reason in `findings`. Never raises for bad input."""
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        findings.error((), "the file is larger than 1 MiB. Split the model or remove what is not in use.")
        return None
    odd = _UNPRINTABLE.search(text)
    if odd:
        before = text[: odd.start()]
        at = (before.count("\n") + 1, odd.start() - before.rfind("\n"))
        findings.error((), f"the character U+{ord(odd.group()):04X} cannot stand in a model. Remove it.", at)
        return None
    events = yaml.parse(text.removeprefix("\ufeff"), Loader=_LOADER)
    try:
        return _Builder(events, findings).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        findings.error((), _plain_words(error), at)
    except _StopError:
        pass
    return None


def _plain_words(error: yaml.MarkedYAMLError) -> str:
    said = f"{error.context or ''} {error.problem or ''}".strip()
    return next((plain for key, plain in _PLAIN_WORDS if key in said), f"this is no YAML: {said}.")


class _Builder:
    def __init__(self, events: Iterator[Any], findings: Findings) -> None:
        self._events = events
        self._findings = findings

    def document(self) -> Node | None:
        """The root of the only document, or None for an empty file."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._stop((), event, "a second document begins here. A model is one document: remove the ---.")
                root = self._node(next(self._events), ())
        return root

    def _node(self, event: Any, path: Path) -> Node:
        if len(path) > MAX_DEPTH:
            self._stop(path[:4], event, _TOO_DEEP)
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            self._findings.error(path, f"{_STAR} Aliases are not read.", (line, column))
            return Text(line, column, f"*{event.anchor}", quoted=True)
        if event.anchor is not None:
            self._findings.error(path, "anchors (&) are not read. Write the value out.", (line, column))
        if event.tag is not None:
            self._findings.error(
                path, "tags (!) are not read; every value is typed by its key. Remove it.", (line, column)
            )
        if isinstance(event, yaml.ScalarEvent):
            return Text(line, column, event.value, quoted=bool(event.style))
        if isinstance(event, yaml.SequenceStartEvent):
            return Items(line, column, tuple(self._items(path)))
        return Entries(line, column, tuple(self._entries(path)))

    def _items(self, path: Path) -> Iterator[Node]:
        index = 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, (*path, index))
            index += 1

    def _entries(self, path: Path) -> Iterator[tuple[Text, Node]]:
        first_lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, path)
            if not isinstance(key, Text):
                self._stop(path, event, "a key must be one word, not a list or a mapping. Check the brackets.")
            value = self._node(next(self._events), (*path, key.text))
            at = (key.line, key.column)
            if key.text == "<<" and not key.quoted:
                self._findings.error((*path, "<<"), "merge keys are not read. Write the keys out.", at)
            elif key.text in first_lines:
                message = f"written twice, first in line {first_lines[key.text]}. Keep one."
                self._findings.error((*path, key.text), message, at)
            else:
                first_lines[key.text] = key.line
                yield key, value

    def _stop(self, path: Path, event: Any, message: str) -> NoReturn:
        self._findings.error(path, message, (event.start_mark.line + 1, event.start_mark.column + 1))
        raise _StopError
