"""What a condition may ask of a lead."""

from collections.abc import Callable
from typing import Any, Literal

from processors.model.views import LeadView
from schemas.records import Touch

LeadFieldKind = Literal["bool", "number", "duration", "text", "url", "any"]

LEAD_FIELDS: dict[str, LeadFieldKind] = {
    "known": "bool",
    "score": "number",
    "fit": "number",
    "grade": "text",
    "rfm.recency": "number",
    "rfm.frequency": "number",
    "rfm.depth": "number",
    "idle": "duration",
    "stage": "text",
    "in_stage": "duration",
}
_TOUCH_FIELDS: dict[str, LeadFieldKind] = {
    "url": "url",
    "referrer": "url",
    "source": "text",
    "click_id": "text",
    **{f"utm.{name}": "text" for name in ("source", "medium", "campaign", "term", "content", "id")},
}
LEAD_FIELDS |= {
    f"{which}.{name}": kind for which in ("first_touch", "last_touch") for name, kind in _TOUCH_FIELDS.items()
}
OPEN_LEAD_FIELDS: dict[str, LeadFieldKind] = {"dimensions.": "number", "tags.": "number", "traits.": "any"}


def lead_field_kind(name: str) -> LeadFieldKind | None:
    """None: no such field."""
    for prefix, kind in OPEN_LEAD_FIELDS.items():
        if name.startswith(prefix):
            return kind if len(name) > len(prefix) else None
    return LEAD_FIELDS.get(name)


_PLAIN: dict[str, Callable[[LeadView], Any]] = {
    "known": lambda lead: lead.known,
    "score": lambda lead: lead.score,
    "fit": lambda lead: lead.fit,
    "grade": lambda lead: lead.grade,
    "idle": lambda lead: lead.idle_ms,
    "stage": lambda lead: lead.stage,
    "in_stage": lambda lead: lead.in_stage_ms,
}


def lead_value(name: str) -> Callable[[LeadView], Any]:
    """Reads a lead field; None where the lead has none."""
    if name in _PLAIN:
        return _PLAIN[name]
    head, _, inner = name.partition(".")
    if head == "dimensions":
        return lambda lead: lead.dimension(inner)
    if head == "tags":
        return lambda lead: lead.tag(inner)
    if head == "rfm":
        return lambda lead: lead.rfm(inner)
    if head == "traits":
        return lambda lead: lead.trait(inner)
    read = _touch_value(inner)
    if head == "first_touch":
        return lambda lead: read(lead.first_touch)
    return lambda lead: read(lead.last_touch)


def _touch_value(name: str) -> Callable[[Touch | None], Any]:
    holder, _, inner = name.partition(".")
    if holder == "utm":
        holder, inner = "campaign", "name" if inner == "campaign" else inner
    elif holder == "click_id":
        inner = "kind"

    def read(touch: Touch | None) -> Any:
        value: Any = touch.get(holder) if touch else None
        return value.get(inner) if inner and value else value

    return read
