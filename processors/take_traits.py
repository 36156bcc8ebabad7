"""What acts say about the person."""

from processors.model.scalars import number_text
from schemas.records import Scalar, Text, TrackedEvent
from schemas.rows import PricedRow, Row

MAX_TRAITS = 64
# In UTF-8, as all that a stranger may put into a row: a row has to stay small whatever is written.
MAX_NAME_BYTES = 64
MAX_VALUE_BYTES = 256  # of a list in all
MAX_LIST_ITEMS = 16
DERIVED = ("email_kind", "email_domain", "phone_kind")


def take_traits(row: Row, event: TrackedEvent, at: int, key: bytes) -> None:
    """The latest by act time wins, then the larger id; an empty value clears. A 65th name is not taken."""
    said = event.get("traits")
    if said is None and event.get("email_kind") is None and event.get("phone_kind") is None:
        return
    for name in DERIVED:
        value = event.get(name)
        if value is not None:
            _take(row, name, value, at, key)  # type: ignore[arg-type]  # TypedDict.get with a variable name is object
    for name, scalar in (said or {}).items():
        if name not in DERIVED:
            _take(row, cut(name, MAX_NAME_BYTES), scalar, at, key)


def _take(row: Row, name: str, value: Scalar, at: int, key: bytes) -> None:
    before = row.traits.get(name)
    if before is None and len(row.traits) >= MAX_TRAITS:
        return
    if before is None or (at, key) > (before[1], before[2]):
        row.traits[name] = (text_of(value), at, key)


def text_of(value: Scalar) -> Text:
    """A value as patterns see it: a number as its shortest text, nothing as empty text."""
    if isinstance(value, list):
        return _cut_list([item.strip() for item in value[:MAX_LIST_ITEMS]])
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return cut(value.strip(), MAX_VALUE_BYTES)


def _cut_list(items: list[str]) -> list[str]:
    kept, room = [], MAX_VALUE_BYTES
    for item in items:
        kept.append(cut(item, room))
        room -= len(kept[-1].encode())
    return kept


def cut(text: str, most_bytes: int) -> str:
    """The text, or as many of its first characters as fit into so many bytes of UTF-8."""
    if text.isascii():
        return text[:most_bytes]
    return text.encode()[:most_bytes].decode("utf-8", "ignore")


def shown_traits(row: PricedRow) -> dict[str, Text]:
    """What is known now: traits that were not cleared."""
    return {name: value for name, (value, _, _) in row.traits.items() if value}


def trait_of(row: PricedRow, name: str) -> Text | None:
    held = row.traits.get(name)
    return held[0] or None if held is not None else None


def is_known(row: PricedRow) -> bool:
    """Can we write to or call this person?"""
    if not row.traits:
        return False
    return bool(trait_of(row, "email_kind") or trait_of(row, "crm_id")) or trait_of(row, "phone_kind") == "valid"
