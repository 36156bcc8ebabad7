from typing import Any, cast

import pytest

from schemas.codec import decode, encode
from schemas.records import TrackedEvent
from sources.completion import Completion
from sources.outcomes import Accepted, Arrival, Rejected
from sources.segment import read_call

NOW = 1_772_442_000_000  # 2026-03-02T09:00:00Z
COMPLETION = Completion(b"secret", new_event_id=lambda: "made-here")
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def read(call: object, arrival: Arrival | None = None, default_type: str | None = None) -> Accepted | Rejected:
    return read_call(call, arrival or Arrival(received_at=NOW), COMPLETION, default_type=default_type)


def accepted(call: dict[str, Any], arrival: Arrival | None = None) -> TrackedEvent:
    outcome = read({"anonymousId": "a1", **call}, arrival)
    assert isinstance(outcome, Accepted), outcome
    assert decode(encode("TrackedEvent", outcome.event))[1]["event_id"] == outcome.event["event_id"]
    return outcome.event


def rejected(call: object) -> Rejected:
    outcome = read(call)
    assert isinstance(outcome, Rejected), outcome
    return outcome


def test_a_page_call_becomes_a_page_view_with_all_that_it_says() -> None:
    event = accepted(
        {
            "type": "page",
            "messageId": "m1",
            "userId": 7,
            "name": "Pricing",
            "category": "Docs",
            "properties": {"url": "https://www.acme.example/pricing?utm_source=Google&gclid=Ab", "plan": {"size": 3}},
            "context": {
                "page": {"url": "ignored", "referrer": "https://search.example/", "title": "Prices"},
                "library": {"name": "t.js", "version": "1"},
                "ip": "203.0.113.7",
            },
            "timestamp": "2026-03-02T08:59:50Z",
            "sentAt": "2026-03-02T08:59:55Z",
        },
        Arrival(received_at=NOW, write_key_name="website"),
    )
    assert event == {
        "event_id": "m1",
        "type": "page_view",
        "occurred_at": NOW - 5_000,
        "received_at": NOW,
        "flags": {"bot": False, "late": False, "clamped": False},
        "url": "https://www.acme.example/pricing?utm_source=Google&gclid=Ab",
        "campaign": {"source": "google", "medium": None, "name": None, "term": None, "content": None, "id": None},
        "click_id": {"kind": "gclid", "value": "Ab"},
        "asset": None,
        "duration_seconds": None,
        "traits": None,
        "email_kind": None,
        "email_domain": None,
        "phone_kind": None,
        "webinar": None,
        "properties": {"name": "Pricing", "category": "Docs", "plan.size": 3},
        "referrer": "https://search.example/",
        "title": "Prices",
        "anonymous_id": "a1",
        "user_id": "7",
        "source": {"library": "t.js", "version": "1", "key": "website"},
        "ip": "203.0.113.0",
    }


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ({"type": "page"}, "page_view"),
        ({"type": "screen"}, "screen_view"),
        ({"type": "identify"}, "identify"),
        ({"type": "group"}, "group"),
        ({"type": "alias"}, "alias"),
        ({"type": "track", "event": "Demo Requested"}, "demo_requested"),
        ({"type": "track", "event": "file_download"}, "download"),
        ({"type": "track", "event": "form_submit"}, "form_submitted"),
        ({"type": "track", "event": "下载 白皮书"}, "下载_白皮书"),
    ],
)
def test_the_names_of_acts_are_normal(call: dict[str, Any], name: str) -> None:
    assert accepted(call)["type"] == name


def test_identify_gives_traits_and_what_is_derived_from_them() -> None:
    event = accepted(
        {
            "type": "identify",
            "traits": {"email": "Ada@BigBank.example", "company": {"name": "Big Bank"}, "title": None},
            "context": {"traits": {"title": "CTO", "plan": "x"}},
        }
    )
    assert event["traits"] == {"email": "Ada@BigBank.example", "company.name": "Big Bank", "title": None, "plan": "x"}
    assert (event["email_kind"], event["email_domain"]) == ("business", "bigbank.example")


def test_what_a_client_sends_under_a_derived_name_is_discarded() -> None:
    event = accepted(
        {
            "type": "identify",
            "traits": {"email_kind": "business", "Email_Domain": "x", "phone_kind": "valid", "crm_id": 1, "a": 1},
        }
    )
    assert event["traits"] == {"a": 1}
    assert event["email_kind"] is None


def test_the_traits_of_a_group_are_those_of_the_company() -> None:
    event = accepted({"type": "group", "groupId": "acme", "traits": {"name": "Acme", "employees": 120}})
    assert event["traits"] == {"company.id": "acme", "company.name": "Acme", "company.employees": 120}


@pytest.mark.parametrize(
    ("properties", "asset"),
    [
        ({"asset": "a.pdf", "form": "demo"}, "a.pdf"),
        ({"file_name": "b.pdf"}, "b.pdf"),
        ({"form": "demo"}, "demo"),
        ({"form_id": 12}, "12"),
        ({"email_id": "2026-spring"}, "2026-spring"),
        ({"form": {"id": 1}}, None),
        ({"other": "x"}, None),
    ],
)
def test_the_asset_is_the_file_form_or_mail_that_the_act_was_about(
    properties: dict[str, Any], asset: str | None
) -> None:
    assert accepted({"type": "track", "event": "x", "properties": properties})["asset"] == asset


@pytest.mark.parametrize(
    ("properties", "seconds"),
    [
        ({"duration_seconds": 61.5}, 61.5),
        ({"seconds": "90"}, 90.0),
        ({"engagement_time_msec": 1500}, 1.5),
        ({"duration_seconds": -3}, None),
        ({"duration_seconds": "long"}, None),
    ],
)
def test_durations_are_seconds(properties: dict[str, Any], seconds: float | None) -> None:
    assert accepted({"type": "track", "event": "x", "properties": properties})["duration_seconds"] == seconds


@pytest.mark.parametrize(
    "properties",
    [
        {"webinar": {"id": "w1", "title": "Data", "attended_minutes": 20, "length_minutes": "60"}},
        {"webinar_id": "w1", "webinar_title": "Data", "attended_seconds": 1200, "length_seconds": 3600},
    ],
)
def test_a_webinar_is_read_in_both_shapes(properties: dict[str, Any]) -> None:
    event = accepted({"type": "track", "event": "webinar_attended", "properties": properties})
    assert event["webinar"] == {"id": "w1", "title": "Data", "attended_seconds": 1200, "length_seconds": 3600}


def test_a_call_without_an_id_gets_one_and_a_giant_one_is_shortened_always_the_same() -> None:
    assert accepted({"type": "page"})["event_id"] == "made-here"
    one, other = (accepted({"type": "page", "messageId": "m" * 300})["event_id"] for _ in range(2))
    assert one == other
    assert len(one) == 32


def test_a_crawler_in_the_context_or_in_the_request_is_a_bot() -> None:
    browser = Arrival(received_at=NOW, user_agent="Mozilla/5.0 Chrome/156")
    assert accepted({"type": "page", "context": {"userAgent": GOOGLEBOT}}, browser)["flags"]["bot"]
    crawler = Arrival(received_at=NOW, user_agent=GOOGLEBOT)
    assert accepted({"type": "page", "context": {"userAgent": browser.user_agent}}, crawler)["flags"]["bot"]
    assert not accepted({"type": "page"}, browser)["flags"]["bot"]


def test_the_type_may_come_from_the_path() -> None:
    outcome = read({"anonymousId": "a", "event": "x"}, default_type="track")
    assert isinstance(outcome, Accepted)
    assert outcome.event["type"] == "x"


@pytest.mark.parametrize(
    ("call", "key"),
    [
        ({"anonymousId": "a1", "userId": "u1"}, b"1a1"),
        ({"userId": "u1"}, b"3u1"),
        ({"anonymousId": "null", "userId": "u1"}, b"3u1"),
        ({"anonymousId": None, "userId": 42}, b"342"),
    ],
)
def test_the_key_is_the_anonymous_id_else_the_user_id(call: dict[str, Any], key: bytes) -> None:
    outcome = read({"type": "page", **call})
    assert isinstance(outcome, Accepted)
    assert outcome.key == key


def test_without_ids_the_key_is_the_keyed_hash_of_the_email() -> None:
    one = read({"type": "identify", "traits": {"email": "Ada@B.example"}})
    same = read({"type": "identify", "traits": {"email": " ada@b.example "}})
    assert isinstance(one, Accepted)
    assert isinstance(same, Accepted)
    assert one.key == same.key
    assert one.key.startswith(b"9")
    assert b"ada" not in one.key


@pytest.mark.parametrize("value", [None, "", "null", "anonymous", "-1", "0000-0000", "undefined", "x" * 300, True, {}])
def test_ids_that_name_nobody_are_no_key(value: object) -> None:
    outcome = rejected({"type": "page", "anonymousId": value, "userId": value})
    assert outcome.reason == "no_lead_key"


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        ({"anonymousId": "a"}, "type is missing: one of identify, track"),
        ({"anonymousId": "a", "type": "wat"}, "type: 'wat'"),
        ({"anonymousId": "a", "type": "track"}, "event: a track call must name"),
        ({"anonymousId": "a", "type": "track", "event": "???"}, "event: a track call must name"),
        (7, "expected a JSON object"),
    ],
)
def test_a_call_that_says_too_little_is_rejected_with_the_field(call: object, detail: str) -> None:
    outcome = rejected(call)
    assert outcome.reason == "bad_event"
    assert detail in outcome.detail


def test_odd_types_inside_a_call_do_no_harm() -> None:
    odd = {"type": "page", "context": [], "properties": "x", "traits": 1, "timestamp": {}, "messageId": [], "name": {}}
    event = accepted(odd)
    assert event["flags"]["clamped"]
    assert event["properties"] is None
    assert event["event_id"] == "made-here"


def test_a_rejected_call_keeps_its_json() -> None:
    assert rejected({"type": "wat", "name": "下"}).original == '{"type":"wat","name":"下"}'.encode()


def test_values_that_were_cut_are_counted() -> None:
    outcome = read({"type": "page", "anonymousId": "a", "properties": {"x": "y" * 2000}, "traits": {"z": "y" * 2000}})
    assert isinstance(outcome, Accepted)
    assert outcome.cut == 2
    assert len(cast("str", (outcome.event["properties"] or {})["x"])) == 1024
