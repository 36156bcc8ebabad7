import itertools
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.records import TrackedEvent
from sources.access_log import looks_like_access_log, read_access_log
from sources.bots import is_bot
from sources.completion import Completion
from sources.event_file import read_event_file
from sources.played import PlayedRecord, Problem
from tests.shared_material import shared

COMPLETION = Completion(b"secret")
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36"
AT = 1_431_857_103_000  # 17 May 2015 10:05:03 UTC


def line(
    request: str = "GET /pricing HTTP/1.1",
    status: int = 200,
    agent: str = CHROME,
    *,
    address: str = "203.0.113.7",
    time: str = "17/May/2015:10:05:03 +0000",
    referrer: str = "-",
) -> bytes:
    return f'{address} - - [{time}] "{request}" {status} 512 "{referrer}" "{agent}"'.encode()


def read(*lines: bytes) -> list[PlayedRecord | Problem]:
    return [result for _, result in read_access_log(enumerate(lines, 1), COMPLETION)]


def event_of(one: bytes) -> TrackedEvent:
    (result,) = read(one)
    assert isinstance(result, PlayedRecord), result
    assert decode(encode("TrackedEvent", result.record))[0] == "TrackedEvent"
    return result.record  # type: ignore[return-value]  # a log holds no feedback


def test_a_page_that_was_served_is_a_page_view() -> None:
    (result,) = read(line(referrer="https://search.example/?q=scoring"))
    assert isinstance(result, PlayedRecord)
    assert (result.kind, result.timestamp_ms) == ("TrackedEvent", AT)
    event = event_of(line(referrer="https://search.example/?q=scoring"))
    assert (event["type"], event["url"], event["asset"]) == ("page_view", "/pricing", None)
    assert (event["occurred_at"], event["received_at"]) == (AT, AT)
    assert event["referrer"] == "https://search.example/?q=scoring"
    assert event["ip"] == "203.0.113.0"
    assert result.key == b"1" + (event["anonymous_id"] or "").encode()


@pytest.mark.parametrize(
    ("request_line", "status", "kind", "asset"),
    [
        ("GET / HTTP/1.1", 200, "page_view", None),
        ("GET /a.html HTTP/1.0", 304, "page_view", None),
        ("GET /v1.2/notes HTTP/1.1", 200, "page_view", None),
        ("GET /files/White%20Paper.PDF?x=1 HTTP/1.1", 206, "download", "White Paper.PDF"),
        ("GET /files/tool-1.0.jar HTTP/1.1", 200, "download", "tool-1.0.jar"),
        ("GET /files/src.tar.gz HTTP/1.1", 200, "download", "src.tar.gz"),
        ("GET /page?file=a.css HTTP/1.1", 200, "page_view", None),
        ("GET https://www.acme.example/pricing HTTP/1.1", 200, "page_view", None),
    ],
)
def test_what_is_an_act(request_line: str, status: int, kind: str, asset: str | None) -> None:
    event = event_of(line(request_line, status))
    assert (event["type"], event["asset"]) == (kind, asset)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /style.css?v=1 HTTP/1.1", 200),
        ("GET /favicon.ico HTTP/1.1", 200),
        ("GET /robots.txt HTTP/1.1", 200),
        ("GET /images/a.PNG HTTP/1.1", 200),
        ("GET /missing HTTP/1.1", 404),
        ("GET /moved HTTP/1.1", 301),
        ("HEAD /pricing HTTP/1.1", 200),
        ("POST /pricing HTTP/1.1", 200),
        ("-", 408),
        (r"\x16\x03\x01", 400),
    ],
)
def test_what_is_no_act(request_line: str, status: int) -> None:
    assert read(line(request_line, status)) == []


def test_utm_values_and_click_ids_are_read_as_in_the_collector() -> None:
    event = event_of(line("GET /a?utm_source=FeedBurner&utm_campaign=Feed%3A+Main&gclid=Ab HTTP/1.1"))
    assert event["campaign"] is not None
    assert (event["campaign"]["source"], event["campaign"]["name"]) == ("feedburner", "feed: main")
    assert event["click_id"] == {"kind": "gclid", "value": "Ab"}


def test_a_visitor_is_address_and_user_agent() -> None:
    ids = [
        event_of(one)["anonymous_id"]
        for one in (line(), line("GET /b HTTP/1.1"), line(agent="Other/1.0"), line(address="203.0.113.8"))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_crawlers_are_flagged() -> None:
    assert event_of(line(agent="Mozilla/5.0 (compatible; Googlebot/2.1)"))["flags"]["bot"]
    assert event_of(line(agent="curl/7.1"))["flags"]["bot"]
    assert not event_of(line())["flags"]["bot"]


def test_the_same_line_gives_the_same_event_id_and_another_line_another() -> None:
    assert event_of(line())["event_id"] == event_of(line())["event_id"]
    assert event_of(line())["event_id"] != event_of(line(status=304))["event_id"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17/May/2015:12:05:03 +0200", AT),
        ("17/May/2015:04:35:03 -0530", AT),
        ("29/Feb/2016:00:00:00 +0000", 1_456_704_000_000),
    ],
)
def test_times_have_offsets(text: str, expected: int) -> None:
    assert event_of(line(time=text))["occurred_at"] == expected


@pytest.mark.parametrize(
    "bad",
    [
        b"garbage",
        b"\xff\xfe\x00",
        b'203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1',
        line(time="30/Feb/2015:10:05:03 +0000"),
        line(time="17/Mai/2015:10:05:03 +0000"),
        line(time="17/May/2015:10:05:xx +0000"),
        line(time="17/May/2015:10:05:03 *0000"),
    ],
)
def test_a_line_of_another_form_is_a_problem_and_the_next_is_read(bad: bytes) -> None:
    problem, record = read(bad, line())
    assert isinstance(problem, Problem)
    assert problem.reason == "bad_event"
    assert isinstance(record, PlayedRecord)


def test_a_user_name_with_spaces_and_quotes_in_the_agent_are_read() -> None:
    odd = rb'2001:db8::1 - John Doe [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 - "-" "say \"hi\" \\ there"'
    assert event_of(odd)["ip"] == "2001:db8::"


def test_a_log_without_referrer_and_agent_is_read_too() -> None:
    assert event_of(b'h - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5')["referrer"] is None


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    for one in (data, line().replace(b"pricing", data), line().replace(CHROME.encode(), data)):
        assert all(isinstance(result, PlayedRecord | Problem) for result in read(one))


def test_a_public_log_is_read_whole_and_fast() -> None:
    path = shared("data/access.log")
    started = time.perf_counter()
    results = [result for _, result in read_event_file(path, COMPLETION)]
    seconds = time.perf_counter() - started
    records = [result for result in results if isinstance(result, PlayedRecord)]
    assert len(records) == len(results) == 2_603
    kinds = Counter(record.record["type"] for record in records if record.kind == "TrackedEvent")  # type: ignore[typeddict-item]  # no feedback here
    assert kinds == {"page_view": 2_539, "download": 64}
    assert seconds < 1.5, f"6,000 lines took {seconds:.2f} s; 0.3 s on the machine of docs/performance.md"


def test_three_requests_in_ten_of_a_public_log_are_crawlers() -> None:
    agents = [one.rsplit('"', 2)[1] for one in shared("data/access.log").read_text("utf-8", "replace").splitlines()]
    assert len(agents) == 6_000
    assert sum(map(is_bot, agents)) / 6_000 == pytest.approx(0.29, abs=0.01)


def test_a_log_is_known_by_its_lines() -> None:
    assert looks_like_access_log(line())
    assert not looks_like_access_log(b'{"type": "page"}')
    assert list(itertools.islice(read_access_log([], COMPLETION), 1)) == []
