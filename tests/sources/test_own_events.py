from typing import Any

import pytest
from hypothesis import given

from schemas.codec import decode, encode
from schemas.records import TrackedEvent
from sources.completion import Completion
from sources.outcomes import Accepted, Arrival, Outcome, Rejected
from sources.own_events import read_own_event
from tests.sources.test_values import JSON

NOW = 1_772_442_000_000
COMPLETION = Completion(b"secret", new_event_id=lambda: "made-here")
ARRIVAL = Arrival(received_at=NOW, ip="203.0.113.7", write_key_name="server")


def read(item: object) -> Outcome:
    return read_own_event(item, ARRIVAL, COMPLETION)


def accepted(item: dict[str, Any]) -> Accepted:
    outcome = read({"type": "page_view", "anonymous_id": "a1", **item})
    assert isinstance(outcome, Accepted), outcome
    return outcome


def test_two_fields_are_enough() -> None:
    event = accepted({}).event
    assert event["event_id"] == "made-here"
    assert (event["occurred_at"], event["received_at"]) == (NOW, NOW)
    assert event["source"] == {"library": None, "version": None, "key": "server"}
    assert event["ip"] == "203.0.113.0"


def test_a_full_event_passes_and_what_the_receiver_decides_is_overwritten() -> None:
    outcome = accepted(
        {
            "event_id": "e1",
            "type": "Form Submitted",
            "occurred_at": NOW - 10,
            "received_at": 5,
            "url": "https://a.example/?utm_source=X",
            "traits": {"email": "a@gmail.com", "crm_id": "7"},
            "email_kind": "business",
            "phone_kind": "valid",
            "flags": {"late": True},
            "source": {"library": "import", "key": "somebody else"},
        }
    )
    event = outcome.event
    assert (event["event_id"], event["type"], event["received_at"]) == ("e1", "form_submitted", NOW)
    assert (event["email_kind"], event["phone_kind"], event["traits"]) == ("free", None, {"email": "a@gmail.com"})
    assert event["flags"] == {"bot": False, "late": False, "clamped": False}
    assert event["source"] == {"library": "import", "version": None, "key": "server"}
    assert event["campaign"] is not None
    assert event["campaign"]["source"] == "x"
    assert decode(encode("TrackedEvent", event))[1] == event


@pytest.mark.parametrize("said", ["2026-03-02T09:00:00Z", "2026-03-02T17:00:00.000+08:00", NOW])
def test_a_time_is_iso_8601_or_milliseconds(said: str | int) -> None:
    event = read_own_event(
        {"type": "x", "anonymous_id": "a", "occurred_at": said}, Arrival(received_at=NOW + 1), COMPLETION
    )
    assert isinstance(event, Accepted)
    assert event.event["occurred_at"] == NOW


def test_the_names_that_are_listed_are_those_that_a_sender_may_set() -> None:
    outcome = read({"type": "x", "anonymous_id": "a", "qqq": "b"})
    assert isinstance(outcome, Rejected)
    listed = set(outcome.detail.partition("; known: ")[2].split(", "))
    assert listed == set(TrackedEvent.__annotations__) - {"received_at", "email_domain", "email_kind", "phone_kind"}


def test_long_texts_are_cut_and_a_click_id_that_is_none_is_left_out() -> None:
    long = "x" * 5_000
    event = accepted(
        {
            "title": long,
            "asset": long,
            "webinar": {"title": long},
            "source": {"library": long},
            "click_id": {"kind": "other", "value": "x"},
            "url": "https://a.example/?gclid=G",
        }
    ).event
    assert len(event["title"] or "") == len(event["asset"] or "") == 1_024
    assert event["webinar"] is not None
    assert len(event["webinar"]["title"] or "") == 1_024
    assert event["source"] == {"library": "x" * 64, "version": None, "key": "server"}
    assert event["click_id"] == {"kind": "gclid", "value": "G"}


def test_one_event_does_not_change_the_defaults_of_the_next() -> None:
    assert accepted({"flags": {"bot": True}}).event["flags"]["bot"]
    late = accepted({"occurred_at": 0})
    assert late.event["flags"]["late"]
    assert accepted({}).event["flags"] == {"bot": False, "late": False, "clamped": False}


@pytest.mark.parametrize(
    ("item", "reason", "detail"),
    [
        ({"anonymous_id": "a"}, "bad_event", "'type' is missing"),
        (
            {"type": "x", "anonymous_id": "a", "anonymousId": "b"},
            "bad_event",
            "unknown field 'anonymousId'. Did you mean \"anonymous_id\"?",
        ),
        ({"type": "x", "anonymous_id": "a", "qqq": "b"}, "bad_event", "unknown field 'qqq'; known: event_id, type"),
        (
            {"type": "x", "anonymous_id": "a", "occurred_at": "now"},
            "bad_event",
            "occurred_at: text that is no time. Write ISO 8601 such as 2026-03-02T09:00:00Z, or milliseconds since 1970",
        ),
        (
            {"type": "x", "anonymous_id": "a", "occurred_at": [NOW]},
            "bad_event",
            "occurred_at: expected milliseconds since 1970, a whole number such as 1772442000000, found a list",
        ),
        (
            {"type": "x", "anonymous_id": "a", "webinar": {"id": 3}},
            "bad_event",
            "webinar.id: expected text, found a number",
        ),
        (
            {"type": "x", "anonymous_id": "a", "campaign": "secret"},
            "bad_event",
            'campaign: expected an object such as {"source": ...}, found text',
        ),
        (
            {"type": "x", "anonymous_id": "a", "flags": ["bot"]},
            "bad_event",
            'flags: expected an object such as {"bot": ...}, found a list',
        ),
        (
            {"type": "x", "anonymous_id": "a", "properties": {"a": {"b": 1}}},
            "bad_event",
            "properties: expected true or false or a number or text or a list, found an object",
        ),
        (
            {"type": "x", "anonymous_id": "a", "click_id": {"kind": True, "value": "x"}},
            "bad_event",
            "click_id.kind: expected text, found true or false",
        ),
        ({"type": "x", "anonymous_id": "a", "timestamp": NOW}, "bad_event", 'Did you mean "occurred_at"?'),
        ({"type": "x", "anonymous_id": "a", "messageId": "m"}, "bad_event", 'Did you mean "event_id"?'),
        ({"type": "x", "anonymous_id": "a", "message_id": "m"}, "bad_event", 'Did you mean "event_id"?'),
        ({"type": "??", "anonymous_id": "a"}, "bad_event", "type: it must name"),
        ({"type": "x"}, "no_lead_key", "no anonymous id"),
        ({"type": "x", "anonymous_id": "null"}, "no_lead_key", "no anonymous id"),
        ({"type": "x", "anonymous_id": "a", "properties": {"a": float("inf")}}, "bad_json", "properties.a"),
        ([1], "bad_event", "expected a JSON object"),
    ],
)
def test_what_breaks_the_contract_is_rejected_with_the_field(item: object, reason: str, detail: str) -> None:
    outcome = read(item)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, detail in outcome.detail) == (reason, True), outcome.detail


@given(JSON)
def test_no_json_breaks_it(item: object) -> None:
    assert isinstance(read(item), Accepted | Rejected)
