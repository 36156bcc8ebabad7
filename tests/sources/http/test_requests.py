import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.completion import Completion
from sources.config import CollectorSettings, Limits, WriteKey
from sources.http.records import records_of
from sources.http.requests import (
    EVENTS_PATH,
    KEPT_HEADERS,
    SEGMENT_PATHS,
    CollectorRequest,
    Read,
    Refused,
    read_request,
)
from sources.outcomes import Accepted, Rejected
from tests.sources.test_values import JSON

NOW = 1_772_442_000_000
COMPLETION = Completion(b"secret", new_event_id=lambda: "made-here")
OPEN = CollectorSettings(secret=b"secret")
LOCKED = CollectorSettings(secret=b"secret", write_keys=(WriteKey("website", "web_1"),))
PATHS = (*SEGMENT_PATHS, EVENTS_PATH)


def read(value: Any, path: str = "/v1/batch", settings: CollectorSettings = OPEN, **more: Any) -> Read | Refused:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_request(CollectorRequest(path, body, NOW, **more), settings, COMPLETION)


def outcomes(value: Any, path: str = "/v1/batch") -> list[Accepted | Rejected]:
    result = read(value, path)
    assert isinstance(result, Read), result
    return result.outcomes


@pytest.mark.parametrize("path", [path for path, call in SEGMENT_PATHS.items() if call])
def test_every_path_names_its_call(path: str) -> None:
    (outcome,) = outcomes({"anonymousId": "a", "event": "Thing Done"}, path)
    assert isinstance(outcome, Accepted)
    expected = {"page": "page_view", "screen": "screen_view", "track": "thing_done"}
    call = SEGMENT_PATHS[path] or ""
    assert outcome.event["type"] == expected.get(call, call)


def test_there_are_the_long_and_the_one_letter_paths() -> None:
    long = {"identify", "track", "page", "screen", "group", "alias", "batch"}
    assert set(SEGMENT_PATHS) == {f"/v1/{name}" for name in long} | {f"/v1/{letter}" for letter in "itpsgab"}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/track"])
def test_a_batch_is_a_batch_on_any_path(path: str) -> None:
    calls = [{"type": "page", "anonymousId": "a"}, {"type": "identify", "userId": "u"}]
    assert [type(outcome) for outcome in outcomes({"batch": calls}, path)] == [Accepted, Accepted]
    assert len(outcomes(calls, path)) == 2


def test_the_context_of_a_batch_lies_beneath_that_of_its_calls() -> None:
    calls = [{"type": "page", "anonymousId": "a", "context": {"ip": "198.51.100.9"}}, {"type": "page", "userId": "u"}]
    batch = {
        "batch": calls,
        "context": {"ip": "203.0.113.7", "library": {"name": "x"}},
        "sentAt": "2026-03-02T10:00:00Z",
    }
    first, second = outcomes(batch)
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (first.event["ip"], second.event["ip"]) == ("198.51.100.0", "203.0.113.0")
    assert first.event["source"] == {"library": "x", "version": None, "key": None}


def test_the_sending_time_of_a_batch_repairs_the_clock_of_its_calls() -> None:
    call = {"type": "page", "anonymousId": "a", "timestamp": "2026-03-02T09:59:50Z"}
    (outcome,) = outcomes({"batch": [call], "sentAt": "2026-03-02T10:00:00Z"})
    assert isinstance(outcome, Accepted)
    assert outcome.event["occurred_at"] == NOW - 10_000


def test_a_bad_call_does_not_keep_the_others_back() -> None:
    good = {"type": "page", "anonymousId": "a"}
    found = outcomes({"batch": [good, {"type": "wat"}, 7, None, {**good, "x": float("nan")}, good]})
    assert [getattr(outcome, "reason", "ok") for outcome in found] == [
        "ok",
        "bad_event",
        "bad_event",
        "bad_event",
        "bad_json",
        "ok",
    ]
    rejected = found[4]
    assert isinstance(rejected, Rejected)
    assert b'"x":NaN' in rejected.original


@pytest.mark.parametrize(
    ("body", "status", "reason", "kept"),
    [
        (b"", 400, "empty", False),
        (b'{"batch": []}', 400, "empty", False),
        (b"[]", 400, "empty", False),
        (b'{"batch": 7}', 400, "bad_event", True),
        (b"7", 400, "bad_event", True),
        (b"{", 400, "bad_json", True),
        (gzip.compress(b"{}", mtime=0)[:9], 400, "bad_encoding", True),
        (gzip.compress(b" " * 1_000_001, mtime=0), 413, "too_large", True),
        (json.dumps({"batch": [{}] * 2_501}).encode(), 413, "too_many", True),
        (b"[" * 200_000, 400, "too_deep", True),
    ],
)
def test_a_request_that_can_never_pass_is_refused_whole_and_kept(
    body: bytes, status: int, reason: str, kept: bool
) -> None:
    refused = read(body)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.reason) == (status, reason)
    assert (refused.kept.original if refused.kept else None) == (body if kept else None)


def test_the_greatest_batch_passes() -> None:
    assert len(outcomes({"batch": [{"type": "page", "userId": "u"}] * 2_500})) == 2_500


@pytest.mark.parametrize(
    ("more", "value"),
    [
        ({"authorization": "Basic d2ViXzE6"}, {"type": "page", "userId": "u"}),
        ({"query": {"writeKey": "web_1"}}, {"type": "page", "userId": "u"}),
        ({}, {"type": "page", "userId": "u", "writeKey": "web_1"}),
        ({}, {"writeKey": "web_1", "batch": [{"type": "page", "userId": "u"}]}),
        ({}, {"batch": [{"type": "page", "userId": "u", "writeKey": "web_1"}]}),
        ({"authorization": "Bearer other"}, {"writeKey": "web_1", "batch": [{"type": "page", "userId": "u"}]}),
    ],
)
def test_the_write_key_is_found_wherever_clients_put_it(more: dict[str, Any], value: Any) -> None:
    result = read(value, settings=LOCKED, **more)
    assert isinstance(result, Read)
    assert result.write_key_name == "website"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"type":"page","userId":"u","writeKey":"other"}', b""])
def test_without_a_right_key_nothing_is_read_or_kept(body: bytes) -> None:
    refused = read(body, settings=LOCKED)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.kept) == (401, None)


def test_own_events_come_as_one_or_as_a_list() -> None:
    event = {"type": "page_view", "anonymous_id": "a"}
    assert len(outcomes(event, EVENTS_PATH)) == 1
    assert [type(o) for o in outcomes([event, {"type": "x"}], EVENTS_PATH)] == [Accepted, Rejected]


CALLS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["page", "track", "identify", "group", "alias", "screen"]) | JSON,
        **dict.fromkeys(["event", "messageId", "anonymousId", "userId", "timestamp", "sentAt", "groupId"], JSON),
        **dict.fromkeys(["context", "properties", "traits", "integrations", "previousId", "name"], JSON),
        "batch": JSON,
    },
)


def check(path: str, body: bytes, settings: CollectorSettings) -> None:
    request = CollectorRequest(path, body, NOW)
    result = read_request(request, settings, COMPLETION)
    records = records_of(result, request, settings)
    if isinstance(result, Read):
        assert len(records) == len(result.outcomes)
    else:
        assert result.status in (400, 401, 413)
        assert len(records) == (result.kept is not None)


@given(st.sampled_from(PATHS), CALLS | st.lists(CALLS | JSON, max_size=3) | JSON, st.sampled_from([OPEN, LOCKED]))
def test_any_json_becomes_records_or_an_answer(path: str, value: Any, settings: CollectorSettings) -> None:
    check(path, json.dumps(value).encode(), settings)
    check(path, json.dumps({"batch": [value], "context": value}).encode(), settings)


@given(st.sampled_from(PATHS), st.binary(max_size=300), st.booleans())
def test_any_bytes_become_an_answer(path: str, body: bytes, packed: bool) -> None:
    check(path, gzip.compress(body) if packed else body, OPEN)


# As a server reads them: bytes that are no text come as lone surrogates.
HEADER = st.text(st.characters(blacklist_characters="\r\n\0")) | st.binary(max_size=40).map(
    lambda said: said.decode("utf-8", "surrogateescape")
)


@given(HEADER, HEADER, HEADER, HEADER)
def test_whatever_the_headers_hold_it_becomes_records(kept: str, agent: str, key: str, sent_at: str) -> None:
    for body in (b'{"type":"page","anonymousId":"a"}', b"{"):
        request = CollectorRequest(
            "/v1/page", body, NOW,
            ip=kept, user_agent=agent, authorization=key, query={"writeKey": key}, sent_at=sent_at,
            kept_headers=dict.fromkeys(KEPT_HEADERS, kept),
        )  # fmt: skip
        for settings in (OPEN, LOCKED):
            result = read_request(request, settings, COMPLETION)
            assert len(records_of(result, request, settings)) == (settings is OPEN)


def test_limits_are_settings() -> None:
    small = CollectorSettings(secret=b"s", limits=Limits(events=1))
    refused = read({"batch": [{}, {}]}, settings=small)
    assert isinstance(refused, Refused)
    assert refused.detail == "2 events in one request; at most 1 are taken"
