"""What putting a letter back means, for letters as each part writes them."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dead_letters import MAX_VALUE_BYTES, Reason, dead_letter
from processors.play import PlayedRecord
from schemas.codec import decode, encode
from schemas.records import DeadLetter
from sources.completion import Completion
from sources.config import CollectorSettings, Limits, WriteKey
from sources.http.records import records_of
from sources.http.requests import CollectorRequest, read_request
from streams.delivery.put_back import NOT_HANDED, CannotReplayError, PutBack, is_late, put_back
from streams.kafka.topics import Topics
from streams.parts import SINKS
from tests.sinks.records import MARCH_2, snapshot, transition

TOPICS = Topics()
COLLECTOR = CollectorSettings(secret=b"secret", write_keys=(WriteKey("website", "web_1"),))
OPEN_COLLECTOR = replace(COLLECTOR, write_keys=())
KEY = b"1ada"
EVENT: dict[str, Any] = {"event_id": "e1", "type": "page_view", "occurred_at": MARCH_2}
JSON_EVENT = json.dumps(EVENT).encode()
DAY_MS = 86_400_000


def of_worker(value: bytes | None, key: bytes | None = KEY, reason: Reason = "fold_error") -> DeadLetter:
    record = cast("Any", PlayedRecord(7, MARCH_2, key, value))  # type: ignore[arg-type]  # garbage may lack either
    return dead_letter(record, TOPICS.events, 3, step="worker", reason=reason, detail="")


def of_sink(name: str, value: bytes, topic: str = TOPICS.transitions) -> DeadLetter:
    record = PlayedRecord(7, MARCH_2, KEY, value)
    return dead_letter(record, topic, 3, step=f"sink.{name}", reason="undeliverable", detail="410")


def of_collector(
    body: Any, *, path: str = "/v1/batch", settings: CollectorSettings = COLLECTOR, **more: Any
) -> DeadLetter:
    """The first letter of what a collector with too low limits writes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = CollectorRequest(path, data, MARCH_2, authorization="Basic d2ViXzE6", **more)
    read = read_request(request, settings, Completion(settings.secret))
    letters = [decode(record.value) for record in records_of(read, request, settings)]
    return next(cast("DeadLetter", letter) for kind, letter in letters if kind == "DeadLetter")


def strict(settings: CollectorSettings = COLLECTOR, events: int = 1) -> CollectorSettings:
    """A collector whose bounds were set too low: what is mended before the replay."""
    return replace(settings, limits=Limits(events=events))


def events_of(back: PutBack) -> list[dict[str, Any]]:
    return [event for kind, event in (decode(record.value) for record in back.records) if kind == "TrackedEvent"]


def why_not(letter: DeadLetter, collector: CollectorSettings = COLLECTOR) -> str:
    with pytest.raises(CannotReplayError) as error:
        put_back(letter, TOPICS, collector)
    return str(error.value)


# --- the worker's ---


@pytest.mark.parametrize(
    "value",
    [
        JSON_EVENT,
        encode(
            "Feedback",
            {
                "word": "won",
                "system": "crm",
                "object": "1",
                "version": 1,
                "silent": False,
                "user": None,
                "reason": None,
            },
        ),
    ],
)
def test_a_record_about_a_lead_goes_back_with_its_key_and_bytes(value: bytes) -> None:
    [record] = put_back(of_worker(value), TOPICS, COLLECTOR).records
    assert (record.topic, record.key, record.value) == (TOPICS.events, KEY, value)


@pytest.mark.parametrize(
    ("value", "key", "said"),
    [
        (b"{broken", KEY, "it would be refused again: bad_json"),
        (b"", KEY, "it would be refused again: empty"),
        (None, KEY, "it would be refused again: empty"),
        (b"\xc3\x01" + b"?" * 30, KEY, "it would be refused again: unknown_schema"),
        (JSON_EVENT, None, "it would be refused again: bad_key"),
        (JSON_EVENT, b"ctl", "it would be refused again: bad_key"),
        (encode("LeadSnapshot", snapshot()), KEY, "it is no record about a lead: LeadSnapshot"),
        (encode("Tick", {}), KEY, "it is no record about a lead: Tick"),
        (JSON_EVENT + b" " * MAX_VALUE_BYTES, KEY, "the whole record stands at leadstream.events.v1/3/7"),
    ],
)
def test_what_would_only_be_refused_again_is_not_sent(value: bytes | None, key: bytes | None, said: str) -> None:
    assert said in why_not(of_worker(value, key))


@given(st.binary(max_size=40), st.binary(max_size=12))
def test_of_garbage_nothing_is_made_but_what_stood_there(value: bytes, key: bytes) -> None:
    try:
        back = put_back(of_worker(value, key), TOPICS, COLLECTOR)
    except CannotReplayError:
        return
    assert [(record.key, record.value) for record in back.records] == [(key, value)]


@pytest.mark.parametrize(("days", "late"), [(6, False), (8, True)])
def test_an_act_is_late_after_seven_days(days: int, late: bool) -> None:
    [record] = put_back(of_worker(JSON_EVENT), TOPICS, COLLECTOR).records
    assert is_late(record, MARCH_2 + days * DAY_MS) is late


# --- the collector's ---


def page(**more: Any) -> dict[str, Any]:
    return {"type": "page", "anonymousId": "ada", "messageId": "m1", **more}


def test_a_request_is_read_as_it_was_when_it_came() -> None:
    batch = {
        "batch": [page(), page(messageId="m2", timestamp="2026-03-02T08:00:00Z")],
        "sentAt": "2026-03-02T09:00:00Z",
    }
    browser = {"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)", "ip": "203.0.113.77"}
    kept = {"User-Agent": browser["user_agent"]}
    letter = of_collector(batch, settings=strict(), kept_headers=kept, **browser)
    back = put_back(letter, TOPICS, COLLECTOR)
    first, second = events_of(back)
    assert [record.key for record in back.records] == [KEY, KEY]
    assert (first["event_id"], second["event_id"]) == ("m1", "m2")
    assert first["received_at"] == MARCH_2
    assert second["occurred_at"] == MARCH_2 - 3_600_000
    assert first["source"]["key"] == "website"
    assert first["ip"] == "203.0.113.0"
    assert first["flags"]["bot"]


def test_an_act_without_an_id_gets_the_same_one_each_time() -> None:
    batch = {"batch": [{"type": "page", "anonymousId": "ada"}, {"type": "page", "anonymousId": "eve"}]}
    letter = of_collector(batch, settings=strict())
    once, again = (events_of(put_back(letter, TOPICS, COLLECTOR)) for _ in range(2))
    assert once == again
    assert len({event["event_id"] for event in once}) == 2
    other = of_collector({"batch": [*batch["batch"], page()]}, settings=strict())
    assert events_of(put_back(other, TOPICS, COLLECTOR))[0]["event_id"] != once[0]["event_id"]


def test_what_is_still_refused_of_a_body_becomes_a_letter_of_its_own() -> None:
    back = put_back(of_collector({"batch": [page(), {"type": "wat"}]}, settings=strict()), TOPICS, COLLECTOR)
    assert [decode(record.value)[0] for record in back.records] == ["TrackedEvent", "DeadLetter"]
    assert decode(back.records[1].value)[1]["context"]["write_key"] == "website"


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        ({"type": "page"}, "/v1/page", "it would be refused again: no_lead_key"),
        (b'{"batch": [', "/v1/batch", "it would be refused again: bad_json"),
        ([{"type": 5}], "/v1/events", "it would be refused again: bad_event"),
    ],
)
def test_a_request_that_is_still_bad_is_not_sent(body: Any, path: str, said: str) -> None:
    assert said in why_not(of_collector(body, path=path))


def test_what_the_settings_here_cannot_read_is_not_sent() -> None:
    letter = of_collector({"batch": [page(), page()]}, settings=strict())
    assert "key_secret is not set here" in why_not(letter, replace(COLLECTOR, secret=b""))
    assert why_not(letter, OPEN_COLLECTOR) == "its write key is not in the settings any more: website"
    without = of_collector({"batch": [page(), page()]}, settings=strict(OPEN_COLLECTOR))
    assert "wrong_write_key" in why_not(without)
    assert "its route is not known" in why_not({**letter, "context": {}})
    assert "the client has the rest" in why_not({**letter, "context": {"cut": "kept 1 of 2 bytes"}})


# --- a sink's ---


@pytest.mark.parametrize("name", ["webhook", "alerts"])
def test_a_transition_goes_to_its_own_sink_and_to_no_topic(name: str) -> None:
    back = put_back(of_sink(name, encode("StageTransition", transition(id="t-1"))), TOPICS, COLLECTOR)
    assert back.records == ()
    assert back.delivery is not None
    assert (back.delivery.kind, back.delivery.record) == ("StageTransition", transition(id="t-1"))
    assert (back.delivery.topic, back.delivery.partition, back.delivery.offset) == (TOPICS.transitions, 3, 7)


def test_what_no_sink_can_be_handed_says_what_to_do() -> None:
    good = encode("StageTransition", transition())
    assert "--from-beginning" in why_not(of_sink("redis", good))
    assert "counts in its own process" in why_not(of_sink("metrics", good))
    assert "it would be refused again: bad_avro" in why_not(of_sink("webhook", b"\x00"))
    assert "it would be refused again: unknown_schema" in why_not(of_sink("webhook", good, topic=TOPICS.scores))
    assert "none that a sink reads here: other" in why_not(of_sink("webhook", good, topic="other"))


def test_only_sinks_that_exist_are_left_out() -> None:
    assert set(NOT_HANDED) < set(SINKS)
