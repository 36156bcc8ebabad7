"""The traffic of the invented site: the requests of all its visitors, in the order of time. The same seed gives the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from random import Random
from typing import Any, Final

from streams.clock import DAY_MS
from streams.demo.diary import HOUR_MS, Act
from streams.demo.journeys import PER_DAY, crawler

_LIBRARIES: Final = {
    "browser": {"name": "analytics.js", "version": "next-1.82.0"},
    "server": {"name": "analytics-python", "version": "2.3.5"},
}
_SERVER_SHARE: Final = 0.2  # visitors whose acts a server reports, in batches
_REPEAT_SHARE: Final = 0.02  # clients that send everything twice, as after a time-out
_OFFLINE_SHARE: Final = 0.02  # phones that deliver days later


@dataclass(frozen=True, slots=True)
class PlayedRequest:
    """One POST to the collector, due at `at_ms` (simulated, ms UTC). The sender adds `sentAt` to `body`.

    `visitor` keeps the requests of one browser in order. `event_ids` are the message ids in it.
    """

    at_ms: int
    visitor: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    event_ids: tuple[str, ...]


def site_requests(seed: int, days: int, opening_ms: int) -> list[PlayedRequest]:
    """Everything that happens in `days` after the opening, in order; nothing of it comes later."""
    requests = [
        request
        for number, acts in enumerate(_visits(seed, days))
        for request in _requests_of(acts, Random(f"{seed}/client/{number}"), opening_ms)  # noqa: S311 - no secret
    ]
    end_ms = opening_ms + days * DAY_MS
    return sorted((request for request in requests if request.at_ms < end_ms), key=lambda request: request.at_ms)


def _visits(seed: int, days: int) -> Iterator[list[Act]]:
    """The acts of each visitor. Everybody has a generator of their own: one more visitor changes no other."""
    for journey, per_day in PER_DAY:
        for number in range(max(1, round(per_day * days))):
            yield journey(Random(f"{seed}/{journey.__name__}/{number}"), days)  # noqa: S311 - no secret
    yield crawler(Random(f"{seed}/crawler"), days)  # noqa: S311 - no secret


def _requests_of(acts: list[Act], rng: Random, opening_ms: int) -> Iterator[PlayedRequest]:
    kind = "server" if rng.random() < _SERVER_SHARE else "browser"
    repeats = rng.random() < _REPEAT_SHARE
    # Up to nine days: what is older than seven is too late to count.
    delay_ms = int(rng.uniform(0.5, 9) * DAY_MS) if rng.random() < _OFFLINE_SHARE else 0
    write = _batch if kind == "server" or delay_ms else _single
    groups = groupby(acts, key=lambda act: act.at_ms // HOUR_MS) if write is _batch else ((0, [act]) for act in acts)
    for _, group in groups:
        bunch = list(group)
        at_ms = opening_ms + bunch[-1].at_ms + delay_ms
        calls = [_call(act, kind, f"{rng.getrandbits(96):024x}", opening_ms) for act in bunch]
        request = write(at_ms, bunch[0], calls)
        yield request
        if repeats:
            yield _again(request, at_ms + 30_000)


def _call(act: Act, kind: str, message_id: str, opening_ms: int) -> dict[str, Any]:
    visitor = act.visitor
    call: dict[str, Any] = {
        "type": act.call,
        "messageId": message_id,
        "anonymousId": visitor.anonymous_id,
        "originalTimestamp": iso(opening_ms + act.at_ms),
        "context": {"library": _LIBRARIES[kind], "userAgent": visitor.user_agent, "ip": visitor.ip},
    }
    if visitor.user_id:
        call["userId"] = visitor.user_id
    if act.call == "identify":
        call["traits"] = dict(act.properties)
        return call
    call["context"]["page"] = {"url": act.url, "title": act.title, "referrer": act.referrer}
    call["properties"] = dict(act.properties)
    if act.call == "track":
        call["event"] = act.event
    return call


def _single(at_ms: int, act: Act, calls: list[dict[str, Any]]) -> PlayedRequest:
    """As a browser sends it: one call to a path of one letter, as plain text so that no preflight is needed."""
    headers = {"Content-Type": "text/plain", "User-Agent": act.visitor.user_agent, "Origin": "http://localhost"}
    return PlayedRequest(
        at_ms, act.visitor.anonymous_id, f"/v1/{act.call[0]}", headers, calls[0], (calls[0]["messageId"],)
    )


def _batch(at_ms: int, act: Act, calls: list[dict[str, Any]]) -> PlayedRequest:
    headers = {"Content-Type": "application/json", "User-Agent": "analytics-python/2.3.5"}
    ids = tuple(call["messageId"] for call in calls)
    return PlayedRequest(at_ms, act.visitor.anonymous_id, "/v1/batch", headers, {"batch": calls}, ids)


def _again(request: PlayedRequest, at_ms: int) -> PlayedRequest:
    return PlayedRequest(at_ms, request.visitor, request.path, request.headers, request.body, request.event_ids)


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
