"""A request -> its outcomes. Pure: no socket, no clock; what is sent where is decided in `sources.http.handlers`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sources.bots import visitors_agent
from sources.completion import Completion
from sources.config import CollectorSettings, WriteKey
from sources.http.body import read_body
from sources.http.write_keys import find_key, key_in_authorization
from sources.outcomes import Arrival, ItemError, Outcome, Reason, Rejected
from sources.own_events import read_own_event
from sources.segment import CALLS, read_call

# Segment's browser library posts to the first letter of the call; `b` and `batch` carry several calls of any kind.
SEGMENT_PATHS: Final[Mapping[str, str | None]] = {
    **{f"/v1/{call}": call for call in CALLS},
    **{f"/v1/{call[0]}": call for call in CALLS},
    "/v1/batch": None,
    "/v1/b": None,
}
EVENTS_PATH: Final = "/v1/events"
# What a dead letter keeps of the headers: a list of what may be kept, so no authorization, cookie or key ever is.
KEPT_HEADERS: Final = ("Content-Encoding", "Content-Type", "DNT", "Origin", "Sec-GPC", "User-Agent")
_STATUS: Final[Mapping[Reason, Literal[400, 413]]] = {"too_large": 413, "too_many": 413}


@dataclass(frozen=True, slots=True)
class CollectorRequest:
    """`ip` is the client's, behind proxies too; `body` as received, packed or not; `received_at` is ms UTC; `sent_at` is the
    real time at the client, if it said one in the header for measuring latency; `kept_headers` are those of `KEPT_HEADERS`.
    """

    path: str
    body: bytes
    received_at: int
    ip: str | None = None
    user_agent: str | None = None
    authorization: str | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    sent_at: str | None = None
    kept_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The whole request can never pass. `kept` is for the dead letters; None without a right write key (anybody
    could fill them) and for an empty body.
    """

    status: Literal[400, 401, 413]
    reason: str
    detail: str
    kept: Rejected | None = None
    write_key_name: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """One outcome for each item, in order."""

    outcomes: list[Outcome]
    write_key_name: str | None


def read_request(request: CollectorRequest, settings: CollectorSettings, completion: Completion) -> Read | Refused:
    """What the request says; never an exception, whatever its body."""
    header_key = key_beside_body(request.authorization, request.query, settings)
    try:
        value = read_body(request.body, settings.limits.unpacked_bytes)
        key = header_key or find_key(_key_in_body(value), settings.write_keys)
        if settings.write_keys and key is None:
            return _wrong_key()
        return _read_items(request, value, settings, completion, key)
    except ItemError as error:
        if settings.write_keys and header_key is None:
            return _wrong_key()
        kept = Rejected(error.reason, error.detail, request.body) if error.reason != "empty" else None
        name = header_key.name if header_key else None
        return Refused(_STATUS.get(error.reason, 400), error.reason, error.detail, kept, name)


def _wrong_key() -> Refused:
    return Refused(
        401,
        "wrong_write_key",
        "send a write key of this collector: as the user of Basic authorization, as ?writeKey=, or as writeKey in the body",
    )


def key_beside_body(
    authorization: str | None, query: Mapping[str, str], settings: CollectorSettings
) -> WriteKey | None:
    """The configured key in the header or the address; None says nothing about one in the body."""
    return find_key(key_in_authorization(authorization) or query.get("writeKey"), settings.write_keys)


def _key_in_body(value: Any) -> str | None:
    key = value.get("writeKey") if isinstance(value, dict) else None
    if isinstance(key, str):
        return key
    items = value.get("batch") if isinstance(value, dict) else value
    first = items[0] if isinstance(items, list) and items else None  # analytics-next may put it into each call
    key = first.get("writeKey") if isinstance(first, dict) else None
    return key if isinstance(key, str) else None


def _read_items(
    request: CollectorRequest, value: Any, settings: CollectorSettings, completion: Completion, key: WriteKey | None
) -> Read:
    own = request.path == EVENTS_PATH
    envelope, items = ({}, value if isinstance(value, list) else [value]) if own else _calls(value)
    if not items:
        raise ItemError("empty", "the body holds no events")
    if len(items) > settings.limits.events:
        raise ItemError(
            "too_many", f"{len(items):,} events in one request; at most {settings.limits.events:,} are taken"
        )
    name = key.name if key else None
    arrival = Arrival(
        received_at=request.received_at,
        user_agent=visitors_agent(request.user_agent),
        ip=request.ip,
        write_key_name=name,
    )
    if own:
        return Read([read_own_event(item, arrival, completion) for item in items], name)
    default_type = SEGMENT_PATHS[request.path]
    return Read(
        [read_call(_merged(item, envelope), arrival, completion, default_type=default_type) for item in items], name
    )


def _calls(value: Any) -> tuple[dict[str, Any], list[Any]]:
    """The envelope and its calls: a batch, a bare list or one call, whatever the path says."""
    if isinstance(value, list):
        return {}, value
    if not isinstance(value, dict):
        raise ItemError("bad_event", "expected a JSON object: a call, or a batch of calls")
    if "batch" not in value:
        return {}, [value]
    if not isinstance(value["batch"], list):
        raise ItemError("bad_event", "batch: expected a list of calls")
    return value, value["batch"]


def _merged(item: Any, envelope: dict[str, Any]) -> Any:
    """A call with the batch's `context`, `integrations` and `sentAt` beneath its own: it then says all by itself, also
    as a dead letter.
    """
    if not isinstance(item, dict):
        return item
    merged = dict(item)
    for name in ("context", "integrations"):
        common, own = envelope.get(name), item.get(name)
        if isinstance(common, dict) and (own is None or isinstance(own, dict)):
            merged[name] = {**common, **(own or {})}
    if envelope.get("sentAt") and not item.get("sentAt"):
        merged["sentAt"] = envelope["sentAt"]
    return merged
