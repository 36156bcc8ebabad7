"""What a condition may ask of an act, and where a tracked event keeps it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from processors.model.patterns import normal
from processors.model.scalars import MAX_NUMBER, is_decimal, number_text
from processors.model.urls import split_url
from schemas.records import TrackedEvent

FieldKind = Literal["event", "url", "text", "number", "any"]

ACT_FIELDS: dict[str, FieldKind] = {
    "event": "event",
    "url": "url",
    "host": "text",
    "referrer": "url",
    "title": "text",
    "asset": "text",
    "seconds": "number",
    "source": "text",
    "click_id": "text",
    **{f"utm.{name}": "text" for name in ("source", "medium", "campaign", "term", "content", "id")},
    "webinar.id": "text",
    "webinar.title": "text",
    "webinar.attended_minutes": "number",
    "webinar.attended_share": "number",
}
OPEN_FIELDS = ("properties.", "traits.")  # then any name
PAGE_FIELDS = frozenset({"event", "url", "host"})  # known from the type and the URL alone
DERIVED_TRAITS = ("email_kind", "email_domain", "phone_kind")

_RECORD_FIELDS = {
    "event": "type",
    "host": "url",
    "seconds": "duration_seconds",
    "utm": "campaign",
}


def act_field_kind(name: str) -> FieldKind | None:
    """None: no such field."""
    if name.startswith(OPEN_FIELDS):
        return "any" if name.partition(".")[2] else None
    return ACT_FIELDS.get(name)


def record_field(name: str) -> str:
    """The top-level field of `TrackedEvent` that holds an act field."""
    head, _, rest = name.partition(".")
    if head == "traits" and rest in DERIVED_TRAITS:
        return rest
    return _RECORD_FIELDS.get(head, head)


def act_value(name: str) -> Callable[[TrackedEvent], Any]:
    """Reads an act field; None where the event has none."""
    inner = name.partition(".")[2]
    record = record_field(name)
    if name == "host":
        return _host
    if name == "webinar.attended_minutes":
        return _attended_minutes
    if name == "webinar.attended_share":
        return _attended_share
    inner = {"source": "key", "click_id": "kind"}.get(name, "name" if name == "utm.campaign" else inner)
    return _nested(record, inner) if inner and record != inner else _flat(record)


def _flat(record: str) -> Callable[[TrackedEvent], Any]:
    def read(event: TrackedEvent) -> Any:
        fields: Mapping[str, Any] = event
        return fields.get(record)

    return read


def _nested(record: str, name: str) -> Callable[[TrackedEvent], Any]:
    def read(event: TrackedEvent) -> Any:
        fields: Mapping[str, Any] = event
        holder = fields.get(record)
        return None if holder is None else holder.get(name)

    return read


def _host(event: TrackedEvent) -> str | None:
    url = event.get("url")
    return split_url(url).host if url else None


def _attended_minutes(event: TrackedEvent) -> float | None:
    webinar = event.get("webinar")
    seconds = webinar["attended_seconds"] if webinar else None
    return None if seconds is None else seconds / 60


def _attended_share(event: TrackedEvent) -> float | None:
    """0 to 1; None where either length is unknown."""
    webinar = event.get("webinar")
    if not webinar or webinar["attended_seconds"] is None or not webinar["length_seconds"]:
        return None
    return webinar["attended_seconds"] / webinar["length_seconds"]


def number_of(value: object) -> float:
    """The units that a value is worth: a number, or text that is one, within 0..1e6; anything else is 0."""
    if isinstance(value, str):
        value = float(value) if is_decimal(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(min(value, MAX_NUMBER)) if value > 0 else 0.0  # NaN is not above 0


def text_of(value: object) -> str:
    """A value as a pattern sees it; empty where it is missing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return normal(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, list):
        return ", ".join(normal(str(item)) for item in value)
    return ""


def act_text(name: str) -> Callable[[TrackedEvent], str]:
    """Reads an act field as a pattern sees it: a URL in its normal form, text folded, a number in its shortest form."""
    read = act_value(name)
    if ACT_FIELDS.get(name) == "url":
        return lambda event: split_url(url).place if (url := read(event)) else ""
    return lambda event: text_of(read(event))
