"""One call of Segment's HTTP API -> one `TrackedEvent`.

https://segment.com/docs/connections/spec/common/ . What each field becomes is tabled in docs/collector.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from schemas.event_names import normal_event_name
from schemas.records import Scalar, Source, TrackedEvent, Webinar
from sources.bots import is_bot
from sources.completion import Completion
from sources.outcomes import Accepted, Arrival, ItemError, Outcome, Rejected
from sources.values import Flattened, as_mapping, as_number, as_text, check_item, first_text, item_bytes

CALLS: Final = ("identify", "track", "page", "screen", "group", "alias")
# The first of these properties that has a value names the file, form or mail that the act was about.
ASSET_PROPERTIES: Final = ("asset", "file", "file_name", "form", "form_name", "form_id", "email_id", "email_name")
_LIFTED: Final = ("url", "referrer", "title")  # they have fields of their own


def read_call(call: object, arrival: Arrival, completion: Completion, *, default_type: str | None = None) -> Outcome:
    """Accepted with the event and its key, or rejected with the reason.

    `default_type` is the call that the path names, for bodies that do not say it themselves.

    Raises:
        ItemError: `too_deep`, where even the reason could not be written down beside the item.
    """
    encoded = item_bytes(call)
    try:
        checked = check_item(call, encoded)
        return _accepted(checked, arrival, completion, first_text(checked.get("type")) or default_type)
    except ItemError as error:
        return Rejected(error.reason, error.detail, encoded)


def _accepted(call: dict[str, Any], arrival: Arrival, completion: Completion, kind: str | None) -> Accepted:
    if kind is None:
        raise ItemError("bad_event", f"type is missing: one of {', '.join(CALLS)}")
    if kind not in CALLS:
        raise ItemError("bad_event", f"type: {kind!r:.40} is none of {', '.join(CALLS)}")
    context, said = as_mapping(call.get("context")), as_mapping(call.get("properties"))
    page = as_mapping(context.get("page"))
    properties, traits = _properties(kind, call, said), _traits(kind, call, context)
    values = properties.values
    event: TrackedEvent = {
        "event_id": _id(call.get("messageId")) or "",
        "type": _event_name(kind, call),
        "occurred_at": None,
        "flags": {"bot": is_bot(first_text(context.get("userAgent"))), "late": False, "clamped": False},
        "url": first_text(said.get("url"), page.get("url"), page.get("path"), limit=8_192),
        "asset": first_text(*(values.get(name) for name in ASSET_PROPERTIES)),
        "duration_seconds": _duration(values),
        "traits": traits.values or None,
        "webinar": _webinar(values),
        "properties": {name: value for name, value in values.items() if name not in _LIFTED} or None,
        "referrer": first_text(
            said.get("referrer"), page.get("referrer"), as_mapping(context.get("referrer")).get("url"), limit=8_192
        ),
        "title": first_text(said.get("title"), page.get("title"), call.get("name")),
        "anonymous_id": _id(call.get("anonymousId")),
        "user_id": _id(call.get("userId")),
        "source": _source(context, arrival),
    }
    completion.complete(
        event, _arrival(call, context, arrival), _said_at(call, arrival), as_mapping(context.get("campaign"))
    )
    return completion.accept(event, properties.cut + traits.cut)


def _event_name(kind: str, call: dict[str, Any]) -> str:
    if kind != "track":
        return normal_event_name(kind)
    said = first_text(call.get("event"))
    name = normal_event_name(said) if said else ""
    if not name:
        raise ItemError("bad_event", "event: a track call must name what happened")
    return name


def _said_at(call: dict[str, Any], arrival: Arrival) -> object:
    """The client's own time. Where a file does not say when it was received, `timestamp`: Segment has repaired it."""
    names = ("timestamp", "originalTimestamp") if arrival.received_at is None else ("originalTimestamp", "timestamp")
    return next((call[name] for name in names if call.get(name) is not None), None)


def _id(value: object) -> str | None:
    """An id as text; SDKs send numbers too. Not cut: a part of an id is another id."""
    return None if isinstance(value, bool) else as_text(value)


def _properties(kind: str, call: dict[str, Any], said: dict[str, Any]) -> Flattened:
    flat = Flattened()
    if kind in ("page", "screen"):
        flat.add({name: call[name] for name in ("name", "category") if call.get(name) is not None})
    if kind == "alias":
        flat.add({"previous_id": _id(call.get("previousId"))})
    flat.add(said)
    return flat


def _traits(kind: str, call: dict[str, Any], context: dict[str, Any]) -> Flattened:
    """What is said of the person; a group's traits are the company's, so its `name` is not the person's."""
    flat = Flattened()
    flat.add(as_mapping(context.get("traits")))
    if kind == "group":
        company = {"id": _id(call.get("groupId")), **as_mapping(call.get("traits"))}
        flat.add({name: value for name, value in company.items() if value is not None}, "company.")
    else:
        flat.add(as_mapping(call.get("traits")))
    return flat


def _duration(values: Mapping[str, Scalar]) -> float | None:
    for name, unit_seconds in (("duration_seconds", 1.0), ("seconds", 1.0), ("engagement_time_msec", 0.001)):
        number = as_number(values.get(name))
        if number is not None:
            return number * unit_seconds
    return None


def _webinar(values: Mapping[str, Scalar]) -> Webinar | None:
    """From `webinar: {...}` or `webinar_id`, `webinar_title` and the times beside them, in seconds or minutes."""
    webinar: Webinar = {
        "id": first_text(values.get("webinar.id"), values.get("webinar_id")),
        "title": first_text(values.get("webinar.title"), values.get("webinar_title")),
        "attended_seconds": _webinar_seconds(values, "attended"),
        "length_seconds": _webinar_seconds(values, "length"),
    }
    return webinar if any(value is not None for value in webinar.values()) else None


def _webinar_seconds(values: Mapping[str, Scalar], name: str) -> float | None:
    for prefix in ("webinar.", "webinar_", ""):
        seconds = as_number(values.get(f"{prefix}{name}_seconds"))
        if seconds is not None:
            return seconds
        minutes = as_number(values.get(f"{prefix}{name}_minutes"))
        if minutes is not None:
            return minutes * 60
    return None


def _source(context: dict[str, Any], arrival: Arrival) -> Source | None:
    library = as_mapping(context.get("library"))
    source: Source = {
        "library": first_text(library.get("name"), limit=64),
        "version": first_text(library.get("version"), limit=64),
        "key": arrival.write_key_name,
    }
    return source if any(source.values()) else None


def _arrival(call: dict[str, Any], context: dict[str, Any], arrival: Arrival) -> Arrival:
    """A call may say itself when it was sent; a server that reports for its visitors says their address."""
    return replace(
        arrival,
        sent_at=call.get("sentAt") or arrival.sent_at,
        ip=first_text(context.get("ip")) or arrival.ip,
    )
