"""Outside values, bounded: what may enter a record, and in which shape."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.records import Scalar
from sources.outcomes import ItemError

MAX_DEPTH: Final = 16
MAX_ITEM_BYTES: Final = 32_768  # Segment's limit for one event
MAX_NAMES: Final = 100
MAX_NAME_CHARACTERS: Final = 128
MAX_TEXT_CHARACTERS: Final = 1_024
MAX_LIST_ITEMS: Final = 50
_LONG: Final = 2**63
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?")


def item_bytes(item: object) -> bytes:
    """One item of a body as JSON again, without spaces. Odd text (lone surrogates) is kept as escapes.

    Raises:
        ItemError: `too_deep`, if it is so deep that only its reader's stack could hold it.
    """
    try:
        text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    except RecursionError as error:
        raise ItemError("too_deep", "nested too deep to be read") from error
    return text.encode("utf-8", "backslashreplace")


def check_item(item: object, encoded: bytes) -> dict[str, Any]:
    """The item, if it can be a record: an object, not too large or too deep, its numbers numbers and its text Unicode.

    Raises:
        ItemError: says what and where.
    """
    if len(encoded) > MAX_ITEM_BYTES:
        raise ItemError("too_large", f"the event has {len(encoded):,} bytes; at most {MAX_ITEM_BYTES:,} are taken")
    if not isinstance(item, dict):
        raise ItemError("bad_event", "expected a JSON object")
    stack: list[tuple[str, object, int]] = [("", item, 1)]
    while stack:
        path, value, depth = stack.pop()
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise ItemError("too_deep", f"{_shown(path)}: nested more than {MAX_DEPTH} levels deep")
            stack.extend((name, inner, depth + 1) for name, inner in _children(path, value))
        elif isinstance(value, float) and not math.isfinite(value):
            raise ItemError("bad_json", f"{_shown(path)}: {value} is not a JSON number")
        elif isinstance(value, str) and not _is_unicode(value):
            raise ItemError("bad_json", f"{_shown(path)}: the text has a lone surrogate")
    return item


def _children(path: str, value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield f"{path}[{index}]", inner
        return
    for name, inner in value.items():
        if not _is_unicode(name):
            raise ItemError("bad_json", f"{_shown(path)}: a name has a lone surrogate")
        yield f"{path}.{name}" if path else name, inner


def _shown(path: str) -> str:
    return (path if len(path) <= 80 else path[:80] + "...") or "the item"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Flattened:
    """Names joined with dots -> scalar or list of text, within the bounds above; `cut` counts what did not fit."""

    def __init__(self) -> None:
        self.values: dict[str, Scalar] = {}
        self.cut = 0

    def add(self, values: Mapping[str, Any], prefix: str = "") -> None:
        """Later values win. A null clears a trait, so it is kept."""
        for name, value in values.items():
            path = prefix + name
            if isinstance(value, dict):
                self.add(value, path + ".")
            elif len(path) > MAX_NAME_CHARACTERS or (path not in self.values and len(self.values) >= MAX_NAMES):
                self.cut += 1
            else:
                self.values[path] = self._list(value) if isinstance(value, list) else self._scalar(value)

    def _scalar(self, value: Any) -> Scalar:
        if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
            self.cut += 1
            return value[:MAX_TEXT_CHARACTERS]
        if isinstance(value, int) and not -_LONG <= value < _LONG:
            return str(value)[:MAX_TEXT_CHARACTERS]
        return value  # type: ignore[no-any-return]  # null, bool, number or text: JSON has no other scalar

    def _list(self, items: list[Any]) -> list[str]:
        texts = [as_text(item) for item in items]
        kept = [text for text in texts if text is not None][:MAX_LIST_ITEMS]
        self.cut += len(items) - len(kept)
        return [str(self._scalar(text)) for text in kept]


def as_text(value: object) -> str | None:
    """Text, or a number as its shortest text; None for anything else and for blank text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, str):
        return value.strip() or None
    return None


def as_number(value: object) -> float | None:
    """A number, or text that is one; not below 0, else None."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    return float(value)


def as_mapping(value: object) -> dict[str, Any]:
    """A JSON object, or an empty one in place of anything else: context, properties and traits are optional."""
    return value if isinstance(value, dict) else {}


def first_text(*values: object, limit: int = MAX_TEXT_CHARACTERS) -> str | None:
    """The first value that is text with something in it, cut at `limit` characters."""
    for value in values:
        text = as_text(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
        if text is not None:
            return text[:limit]
    return None
