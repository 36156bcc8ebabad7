"""One `TrackedEvent` as JSON, checked against its contract, completed like every other event."""

from dataclasses import replace
from typing import Any, cast

from schemas.codec import UndecodableError, decode_json_event
from schemas.event_names import normal_event_name
from schemas.records import Source, TrackedEvent
from sources.attribution import CLICK_IDS, MAX_CLICK_ID_CHARACTERS
from sources.completion import Completion
from sources.outcomes import Accepted, Arrival, ItemError, Outcome, Rejected
from sources.times import parse_time_ms
from sources.values import Flattened, check_item, first_text, item_bytes

# The receiver says these itself, so a sender may leave them out; what it sends there is overwritten.
_DEFAULTS = {"event_id": ""}


def read_own_event(item: object, arrival: Arrival, completion: Completion) -> Outcome:
    """Accepted with the event and its key, or rejected with the reason.

    Raises:
        ItemError: `too_deep`, where even the reason could not be written down beside the item.
    """
    encoded = item_bytes(item)
    try:
        checked = check_item(item, encoded)
        return _accepted(checked, arrival, completion)
    except ItemError as error:
        return Rejected(error.reason, error.detail, encoded)


def _accepted(item: dict[str, Any], arrival: Arrival, completion: Completion) -> Accepted:
    try:
        event = decode_json_event(item_bytes(_DEFAULTS | item | _times(item)))
    except UndecodableError as error:
        raise ItemError("bad_event", error.detail) from error
    event["type"] = normal_event_name(event["type"])
    if not event["type"]:
        raise ItemError("bad_event", "type: it must name what happened")
    properties, traits = Flattened(), Flattened()
    properties.add(event.get("properties") or {})
    traits.add(event.get("traits") or {})
    event["properties"], event["traits"] = properties.values or None, traits.values or None
    event["source"] = _source(event, arrival)
    _cut_texts(event)
    completion.complete(
        event, _arrival(event, arrival), event["occurred_at"], cast("dict[str, Any]", event.get("campaign") or {})
    )
    return completion.accept(event, properties.cut + traits.cut)


def _times(item: dict[str, Any]) -> dict[str, int]:
    """The times that are text, in ms UTC."""
    texts = {name: item[name] for name in ("occurred_at", "received_at") if isinstance(item.get(name), str)}
    times = {name: at for name, text in texts.items() if (at := parse_time_ms(text)) is not None}
    for name in texts.keys() - times.keys():
        raise ItemError(
            "bad_event",
            f"{name}: text that is no time. Write ISO 8601 such as 2026-03-02T09:00:00Z, or milliseconds since 1970",
        )
    return times


def _cut_texts(event: TrackedEvent) -> None:
    """The bounds that Segment calls have too."""
    event["title"], event["asset"] = first_text(event.get("title")), first_text(event.get("asset"))
    click_id, webinar = event.get("click_id"), event.get("webinar")
    if click_id is not None and (click_id["kind"] not in CLICK_IDS or len(click_id["value"]) > MAX_CLICK_ID_CHARACTERS):
        event["click_id"] = None
    if webinar is not None:
        webinar["id"], webinar["title"] = first_text(webinar["id"]), first_text(webinar["title"])


def _source(event: TrackedEvent, arrival: Arrival) -> Source | None:
    said = event.get("source") or Source(library=None, version=None, key=None)
    source = Source(
        library=first_text(said["library"], limit=64),
        version=first_text(said["version"], limit=64),
        key=arrival.write_key_name,
    )
    return source if any(source.values()) else None


def _arrival(event: TrackedEvent, arrival: Arrival) -> Arrival:
    return replace(arrival, ip=event.get("ip") or arrival.ip)
