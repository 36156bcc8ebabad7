"""One `TrackedEvent` as JSON, checked against its contract, completed like every other event."""

from typing import Any, cast

from schemas.codec import UndecodableError, decode_json_event
from schemas.event_names import normal_event_name
from schemas.records import Source, TrackedEvent
from sources.completion import Completion
from sources.outcomes import Accepted, Arrival, ItemError, Outcome, Rejected
from sources.values import Flattened, check_item, item_bytes

# The receiver says these itself, so a sender may leave them out; what it sends there is overwritten.
_DEFAULTS = {"event_id": ""}


def read_own_event(item: object, arrival: Arrival, completion: Completion) -> Outcome:
    """Accepted with the event and its key, or rejected with the reason; never an exception."""
    encoded = item_bytes(item)
    try:
        checked = check_item(item, encoded)
        return _accepted(checked, arrival, completion)
    except ItemError as error:
        return Rejected(error.reason, error.detail, encoded)


def _accepted(item: dict[str, Any], arrival: Arrival, completion: Completion) -> Accepted:
    try:
        event = decode_json_event(item_bytes(_DEFAULTS | item))
    except UndecodableError as error:
        raise ItemError("bad_event", error.detail) from error
    event["type"] = normal_event_name(event["type"][:256])
    if not event["type"]:
        raise ItemError("bad_event", "type: it must name what happened")
    properties, traits = Flattened(), Flattened()
    properties.add(event.get("properties") or {})
    traits.add(event.get("traits") or {})
    event["properties"], event["traits"] = properties.values or None, traits.values or None
    event["source"] = _source(event, arrival)
    completion.complete(
        event, _arrival(event, arrival), event["occurred_at"], cast("dict[str, Any]", event.get("campaign") or {})
    )
    return completion.accept(event, properties.cut + traits.cut)


def _source(event: TrackedEvent, arrival: Arrival) -> Source | None:
    said = event.get("source") or Source(library=None, version=None, key=None)
    source = Source(library=said["library"], version=said["version"], key=arrival.write_key_name)
    return source if any(source.values()) else None


def _arrival(event: TrackedEvent, arrival: Arrival) -> Arrival:
    return Arrival(
        arrival.received_at, arrival.sent_at, arrival.user_agent, event.get("ip") or arrival.ip, arrival.write_key_name
    )
