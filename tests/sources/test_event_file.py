import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.completion import Completion
from sources.event_file import is_own_event, read_event_file, read_json_lines
from sources.played import MAX_LINE_BYTES, PlayedRecord, Problem, read_lines
from tests.sources.test_access_log import line
from tests.sources.test_values import JSON

COMPLETION = Completion(b"secret", new_event_id=lambda: "made-here")
AT = 1_772_442_000_000


def read(*values: Any) -> list[PlayedRecord | Problem]:
    lines = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    return [result for _, result in read_json_lines(enumerate(lines, 1), COMPLETION)]


def one(value: Any) -> Any:
    (result,) = read(value)
    assert isinstance(result, PlayedRecord), result
    return result


def test_a_segment_call_is_played_at_the_time_it_was_received() -> None:
    call = {"type": "page", "anonymousId": "a", "timestamp": "2026-03-02T08:59:00Z"}
    record = one(call | {"receivedAt": "2026-03-02T09:00:00Z"})
    assert (record.timestamp_ms, record.record["occurred_at"]) == (AT, AT - 60_000)
    assert one(call).timestamp_ms == AT - 60_000, "else when it happened"


def test_an_exported_call_has_its_clock_repaired_once() -> None:
    call = {
        "type": "page",
        "anonymousId": "a",
        "originalTimestamp": "2020-01-01T00:00:00Z",
        "sentAt": "2020-01-01T00:00:10Z",
        "timestamp": "2026-03-02T08:59:50Z",
    }
    assert one(call | {"receivedAt": "2026-03-02T09:00:00Z"}).record["occurred_at"] == AT - 10_000
    assert one(call).record["occurred_at"] == AT - 10_000


def test_a_batch_on_one_line_gives_a_record_for_each_call() -> None:
    call = {"type": "page", "anonymousId": "a", "timestamp": "2026-03-02T09:00:00Z"}
    results = read({"batch": [call, {"type": "wat"}, call]})
    assert [type(result) for result in results] == [PlayedRecord, Problem, PlayedRecord]


def test_an_own_event_is_played_at_its_received_at_else_its_occurred_at() -> None:
    event = {"event_id": "e", "type": "download", "user_id": "u", "occurred_at": AT - 5}
    assert one(event | {"received_at": AT}).timestamp_ms == AT
    assert one(event).timestamp_ms == AT - 5
    assert one(event).key == b"3u"
    assert one(event | {"received_at": "2026-03-02T09:00:00Z"}).timestamp_ms == AT


@pytest.mark.parametrize(
    ("event", "own"),
    [
        ({"type": "page_view"}, True),
        ({"type": "download"}, True),
        ({"type": "webinar_attended"}, True),
        ({"type": "page", "user_id": "u"}, True),
        ({"type": "page"}, False),
        ({"type": "group", "userId": "u"}, False),
        ({"typ": "page_view"}, False),
        ({"type": 3}, False),
    ],
)
def test_an_own_event_is_told_by_a_name_of_ours_or_a_type_that_is_no_segment_call(event: Any, own: bool) -> None:
    assert is_own_event(event) is own


def test_a_feedback_line() -> None:
    record = one({"feedback": "accepted", "user_id": "u", "received_at": AT, "object": "deal-1", "version": 3})
    assert (record.kind, record.key, record.timestamp_ms) == ("Feedback", b"3u", AT)
    assert record.record == {
        "word": "accepted",
        "system": "file",
        "object": "deal-1",
        "version": 3,
        "silent": False,
        "user": None,
        "reason": None,
    }


def test_feedback_needs_little() -> None:
    record = one({"feedback": "lost", "email": "ada@b.example", "received_at": "2026-03-02T09:00:00Z"})
    assert record.key.startswith(b"9")
    assert record.record["version"] == 1, "the line number grows"


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (b"{", "bad_json", "char 1"),
        (b"\xff\xfe", "bad_json", ""),
        (b"[" * 100_000, "too_deep", "too deep"),
        ([1], "bad_event", "expected a JSON object"),
        ({"type": "page", "anonymousId": "a"}, "bad_event", "needs a time in occurred_at or timestamp; it has none"),
        ({"typ": "page_view"}, "bad_event", "type is missing: one of identify, track"),
        ({"type": "page_view"}, "bad_event", "needs a time in occurred_at or timestamp; it has none"),
        ({"type": "wat", "anonymousId": "a"}, "bad_event", "type: 'wat' is none of identify, track"),
        ({"type": "page", "anonymousId": "a", "timestamp": "soon"}, "bad_event", "'soon'"),
        ({"type": "x", "event_id": "e", "occurred_at": AT}, "no_lead_key", ""),
        ({"feedback": "won", "user_id": "u"}, "bad_event", "a time in `received_at`"),
        ({"feedback": "won", "received_at": AT}, "no_lead_key", "one of anonymous_id"),
        ({"feedback": "won", "user_id": "u", "received_at": AT, "version": "x"}, "bad_event", "version: 'x'"),
    ],
)
def test_a_bad_line_is_a_problem(value: Any, reason: str, detail: str) -> None:
    (result,) = read(value)
    assert isinstance(result, Problem)
    assert result.reason == reason
    assert detail in result.detail


@given(JSON | st.dictionaries(st.sampled_from(["feedback", "type", "event_id", "user_id", "received_at"]), JSON))
def test_no_json_breaks_it(value: Any) -> None:
    assert all(isinstance(result, PlayedRecord | Problem) for result in read(value))


CALL = json.dumps({"type": "page", "anonymousId": "a", "timestamp": "2026-03-02T09:00:00Z"}).encode()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("content", [CALL, b"\xef\xbb\xbf" + CALL, line()])
def test_format_and_packing_of_a_file_are_sniffed(tmp_path: Path, content: bytes, packed: bool) -> None:
    path = tmp_path / "file"
    text = b"\r\n" + content + b"\r\n\n" + content
    path.write_bytes(gzip.compress(text) if packed else text)
    results = list(read_event_file(path, COMPLETION))
    assert [number for number, _ in results] == [2, 4]
    assert all(isinstance(result, PlayedRecord) for _, result in results)


def test_a_damaged_gzip_file_gives_what_can_be_read_and_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress((CALL + b"\n") * 5)[:-6])
    *records, (number, problem) = read_event_file(path, COMPLETION)
    assert len(records) == 5
    assert number == 6
    assert isinstance(problem, Problem)
    assert problem.reason == "bad_encoding"


def test_a_giant_line_is_a_problem_and_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CALL + b"\n" + b"x" * (3 * MAX_LINE_BYTES) + b"\n" + CALL + b"\n")
    results = list(read_event_file(path, COMPLETION))
    assert [(number, type(result)) for number, result in results] == [
        (1, PlayedRecord),
        (2, Problem),
        (3, PlayedRecord),
    ]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert list(read_lines(path)) == []
    assert list(read_event_file(path, COMPLETION)) == []


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_event_file(tmp_path / "none", COMPLETION))
