"""Acts of a model's tests: fields as a condition names them -> an event as the collector would write it."""

from collections.abc import Mapping
from typing import Any, cast

from processors.model.act_fields import DERIVED_TRAITS
from schemas.records import Campaign, Scalar, Text, TrackedEvent, Webinar

# Where an address is first seen its kind is set beside it; a test that does not say the kind means a good one.
_KINDS = {"email": ("email_kind", "business"), "phone": ("phone_kind", "valid")}


def event_from_fields(fields: Mapping[str, Any], at_ms: int, event_id: str = "") -> TrackedEvent:
    """The event of an act given as `event`, `url`, `utm.campaign`, `webinar.attended_minutes`, `properties.topic`, ...

    `at_ms` (UTC) is when it occurred and was received. `webinar.attended_share` is kept as a part of one hour where no
    minutes are given, else it sets the length.
    """
    flat: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in fields.items():
        head, _, inner = name.partition(".")
        if inner:
            nested.setdefault(head, {})[inner] = value
        else:
            flat[head] = value
    traits = nested.get("traits", {})
    event = {
        "event_id": event_id,
        "type": flat.get("event", ""),
        "occurred_at": at_ms,
        "received_at": at_ms,
        "flags": {"bot": False, "late": False, "clamped": False},
        "url": flat.get("url"),
        "campaign": _campaign(nested.get("utm")),
        "click_id": {"kind": flat["click_id"], "value": "test"} if "click_id" in flat else None,
        "asset": flat.get("asset"),
        "duration_seconds": flat.get("seconds"),
        "traits": {name: value for name, value in traits.items() if name not in DERIVED_TRAITS} or None,
        **{name: traits.get(name) for name in DERIVED_TRAITS},
        "webinar": _webinar(nested.get("webinar")),
        "properties": nested.get("properties"),
        "referrer": flat.get("referrer"),
        "title": flat.get("title"),
        "anonymous_id": None,
        "user_id": None,
        "source": {"library": None, "version": None, "key": flat["source"]} if "source" in flat else None,
        "ip": None,
    }
    return cast("TrackedEvent", event)


def _campaign(utm: Mapping[str, str] | None) -> Campaign | None:
    if utm is None:
        return None
    return Campaign(
        source=utm.get("source"),
        medium=utm.get("medium"),
        name=utm.get("campaign"),
        term=utm.get("term"),
        content=utm.get("content"),
        id=utm.get("id"),
    )


def _webinar(fields: Mapping[str, Any] | None) -> Webinar | None:
    if fields is None:
        return None
    minutes, share = fields.get("attended_minutes"), fields.get("attended_share")
    if minutes is None and share is not None:
        minutes = 60 * share
    attended = None if minutes is None else 60 * minutes
    length = attended / share if attended is not None and share else None
    return Webinar(id=fields.get("id"), title=fields.get("title"), attended_seconds=attended, length_seconds=length)


def known_traits(traits: Mapping[str, Text]) -> dict[str, Scalar]:
    """The traits of a test with the derived ones: an `email` without `email_kind` is a business address, a `phone`
    without `phone_kind` a valid number.
    """
    found: dict[str, Scalar] = dict(traits)
    for name, (kind, usual) in _KINDS.items():
        if name in traits:
            found.setdefault(kind, usual)
    address = traits.get("email")
    if isinstance(address, str) and "@" in address:
        found.setdefault("email_domain", address.rpartition("@")[2].casefold())
    return found
