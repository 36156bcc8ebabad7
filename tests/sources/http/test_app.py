import asyncio
import errno
import gzip
import io
import json
import logging
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from sources.base import OutgoingRecord
from sources.config import WriteKey
from sources.http.answers import Explained
from sources.http.app import SENT_AT_HEADER
from sources.http.server import CollectorServer
from tests.eventually import eventually
from tests.sources.fakes import MemoryProducer
from tests.sources.http.running import NOW, SETTINGS, Running, running_collector, with_limits

PAGE = {
    "type": "page",
    "anonymousId": "a1",
    "messageId": "m1",
    "properties": {"url": "https://www.example.com/pricing"},
}
OWN = {"type": "page_view", "anonymous_id": "a1", "event_id": "e1"}


async def post(
    running: Running, path: str, body: Any, **headers: str
) -> tuple[int, dict[str, Any], aiohttp.ClientResponse]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + path, data=io.BytesIO(data), headers=named) as answer,
    ):
        return answer.status, await answer.json(), answer


async def test_an_accepted_call_is_in_the_log_when_the_answer_comes() -> None:
    async with running_collector() as running:
        status, body, _ = await post(running, "/v1/page", PAGE)
        assert (status, body) == (200, {"success": True})
        (record,) = running.producer.records
        assert (record.topic, record.key) == ("leadstream.events.v1", b"1a1")
        assert running.producer.events[0]["type"] == "page_view"
        assert running.seen[0][1] == b"1a1"
        assert running.metrics.counts["leadstream_collector_events_total", "outcome=accepted"] == 1
        assert running.metrics.observed[0][0] == "leadstream_collector_ack_seconds"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json", "wrong"]
)
@pytest.mark.parametrize("packed", [False, True])
async def test_the_content_type_is_not_believed(content_type: str, packed: bool) -> None:
    body = json.dumps({"batch": [PAGE]}).encode()
    async with running_collector() as running:
        sent = gzip.compress(body) if packed else body
        status, _, _ = await post(running, "/v1/b", sent, Content_Type=content_type)
        assert status == 200
        assert len(running.producer.events) == 1


async def test_gzip_with_its_header_is_read_the_same() -> None:
    async with running_collector() as running:
        body = gzip.compress(json.dumps({"batch": [PAGE]}).encode())
        status, _, _ = await post(running, "/v1/batch", body, Content_Encoding="gzip", Content_Type="application/json")
        assert status == 200
        assert len(running.producer.events) == 1


async def test_a_big_batch_is_read_beside_the_event_loop() -> None:
    async with running_collector() as running:
        calls = [{**PAGE, "messageId": f"m{number}"} for number in range(2_500)]
        status, body, _ = await post(running, "/v1/batch", {"batch": calls})
        assert (status, body) == (200, {"success": True})
        assert [event["event_id"] for event in running.producer.events] == [f"m{number}" for number in range(2_500)]


@pytest.mark.parametrize("header", [{}, {"Content_Encoding": "gzip"}])
async def test_a_gzip_bomb_gets_413_with_and_without_the_header(header: dict[str, str]) -> None:
    async with running_collector() as running:
        status, body, _ = await post(running, "/v1/batch", gzip.compress(bytes(50_000_000)), **header)
        assert (status, body["reason"]) == (413, "too_large")


async def test_bad_calls_go_to_the_dead_letters_while_the_rest_passes() -> None:
    async with running_collector() as running:
        bad = {"type": "track", "anonymousId": "a"}
        status, body, _ = await post(running, "/v1/batch", {"batch": [PAGE, bad]})
        assert (status, body["success"], body["rejected"]) == (200, True, 1)
        assert body["items"][0]["index"] == 1
        assert len(running.producer.events) == 1
        (letter,) = running.producer.dead_letters
        assert letter["reason"] == "bad_event"
        assert json.loads(letter["value"]) == bad
        assert letter["step"] == "collector"
        assert letter["seen_at"] == NOW
        assert letter["context"]["path"] == "/v1/batch"


async def test_a_body_that_is_no_json_gets_400_and_is_kept_byte_for_byte() -> None:
    async with running_collector() as running:
        status, body, _ = await post(running, "/v1/batch", b'{"batch": [\xff')
        assert (status, body["reason"]) == (400, "bad_json")
        assert "byte 11" in body["error"]
        (letter,) = running.producer.dead_letters
        assert letter["value"] == b'{"batch": [\xff'
        again, _, _ = await post(running, "/v1/batch", b'{"batch": [\xff')
        assert again == 400
        assert {one["id"] for one in running.producer.dead_letters} == {letter["id"]}


async def test_a_batch_without_one_good_call_gets_400_that_says_what_is_wrong_where() -> None:
    async with running_collector() as running:
        status, body, _ = await post(running, "/v1/batch", {"batch": [{"type": "page"}, {"type": "wat"}]})
        assert status == 400
        assert [(item["index"], item["reason"]) for item in body["items"]] == [(0, "no_lead_key"), (1, "bad_event")]
        assert len(running.producer.dead_letters) == 2


async def test_a_body_over_the_limit_gets_413() -> None:
    async with running_collector(with_limits(body_bytes=1_000)) as running:
        status, body, _ = await post(running, "/v1/batch", b" " * 1_001)
        assert (status, body["reason"]) == (413, "too_large")
        assert "1,000 bytes" in body["error"]
        assert running.producer.records == []


async def test_an_event_of_2_mb_is_refused_and_the_collector_lives() -> None:
    async with running_collector() as running:
        status, _, _ = await post(running, "/v1/track", json.dumps({**PAGE, "x": "y" * 2_000_000}).encode())
        assert status == 413
        assert (await post(running, "/v1/page", PAGE))[0] == 200


DEEP = b'{"type":"page","anonymousId":"a","properties":' + b'{"a":' * 50 + b"1" + b"}" * 51
HOSTILE = [
    (b"garbage", "bad_json"),
    (b"\x00\xff\xfe", "bad_json"),
    (b"\xc3\x01" + bytes(8) + b"\x02a", "bad_json"),  # Avro, truncated
    (b"null", "bad_event"),
    (b'"text"', "bad_event"),
    (b'{"type":"page","anonymousId":"a","properties":{"x":NaN}}', "bad_json"),
    (b'{"type":"page","anonymousId":"a","properties":{"x":-Infinity}}', "bad_json"),
    (b'{"type":"page","anonymousId":"a","properties":{"x":1e999}}', "bad_json"),
    (b'{"type":"page","anonymousId":"\\ud800"}', "bad_json"),
    (DEEP, "too_deep"),
    (b"[" * 500_000, "too_deep"),
    (b'{"type":"page","anonymousId":"a","properties":{"x":"' + b"y" * 40_000 + b'"}}', "too_large"),
    (b'{"type":"page","anonymousId":"null"}', "no_lead_key"),
    (b'{"type":"page","userId":"anonymous"}', "no_lead_key"),
    (b'{"type":"page"}', "no_lead_key"),
    (gzip.compress(b"{}", mtime=0)[:-2], "bad_encoding"),
    (b"br\x8b\x02\x80{}\x03", "bad_json"),  # another compression
]


@pytest.mark.parametrize(("body", "reason"), HOSTILE)
async def test_bad_input_is_answered_kept_and_stops_nothing(body: bytes, reason: str) -> None:
    async with running_collector() as running:
        status, _, _ = await post(running, "/v1/batch", body)
        assert status == 400
        assert [letter["reason"] for letter in running.producer.dead_letters] == [reason]
        assert (await post(running, "/v1/batch", {"batch": [PAGE]}))[0] == 200
        assert len(running.producer.events) == 1


async def test_own_events_are_answered_one_by_one() -> None:
    async with running_collector() as running:
        status, body, _ = await post(running, "/v1/events", [OWN, {"type": "x"}, OWN | {"oops": 1}])
        assert status == 200
        assert (body["accepted"], body["rejected"]) == (1, 2)
        accepted, nobody, unknown = body["items"]
        assert accepted == {"index": 0, "status": "accepted", "event_id": "e1", "type": "page_view"}
        assert (nobody["status"], nobody["reason"]) == ("rejected", "no_lead_key")
        assert "unknown field 'oops'" in unknown["detail"]
        assert len(running.producer.dead_letters) == 2


async def test_own_events_without_one_good_event_get_400() -> None:
    async with running_collector() as running:
        status, body, _ = await post(running, "/v1/events", {"type": "x"})
        assert (status, body["accepted"], body["rejected"]) == (400, 0, 1)


async def test_explain_names_the_rules_that_fitted() -> None:
    def explain(event: Any) -> Explained:
        if event["type"] == "page_view":
            return Explained("folded", [{"rule": "pricing-page", "points": 15.0}])
        return Explained("folded", [], "no rule names it")

    async with running_collector(explain=explain) as running:
        _, body, _ = await post(running, "/v1/events?explain=1", OWN)
        assert body["items"][0]["outcome"] == "folded"
        assert body["items"][0]["rules"] == [{"rule": "pricing-page", "points": 15.0}]
        assert "hint" not in body["items"][0]
        _, body, _ = await post(running, "/v1/events", OWN)
        assert "rules" not in body["items"][0]
        _, body, _ = await post(running, "/v1/events?explain=1", OWN | {"type": "pageview"})
        assert body["items"][0]["hint"] == "no rule names it"
    async with running_collector() as running:
        _, body, _ = await post(running, "/v1/events?explain=1", OWN)
        assert "no model is known" in body["explain"]


async def test_without_the_brokers_acknowledgement_there_is_no_2xx_and_no_observer_hears_of_it() -> None:
    async with running_collector() as running:
        running.producer.away = True
        for body in ({"batch": [PAGE]}, b"{"):
            status, _, answer = await post(running, "/v1/batch", body)
            assert status == 503
            assert answer.headers["Retry-After"] == "2"
        assert running.seen == []
        assert running.metrics.counts["leadstream_collector_events_total", "outcome=unacknowledged"] == 2
        running.producer.away = False
        assert (await post(running, "/v1/batch", {"batch": [PAGE]}))[0] == 200


async def test_a_wrong_write_key_gets_401_and_the_right_one_names_the_source() -> None:
    settings = replace(SETTINGS, write_keys=(WriteKey("website", "web_1"),))
    async with running_collector(settings) as running:
        status, body, _ = await post(running, "/v1/page", {**PAGE, "writeKey": "other"})
        assert (status, body["reason"]) == (401, "wrong_write_key")
        assert running.producer.records == []
        status, _, _ = await post(running, "/v1/page", PAGE, Authorization="Basic d2ViXzE6")
        assert status == 200
        assert running.producer.events[0]["source"]["key"] == "website"
        await post(running, "/v1/page", b"{", Authorization="Basic d2ViXzE6")
        context = running.producer.dead_letters[0]["context"]
        assert (context["path"], context["write_key"]) == ("/v1/page", "website")
        assert "d2ViXzE6" not in str(context)


async def test_a_header_that_is_no_text_is_kept_as_escapes() -> None:
    async with running_collector() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
        writer.write(
            b"POST /v1/page HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\xfe\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{"
        )
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert "\\udcff" in running.producer.dead_letters[0]["context"]["header.User-Agent"]


async def test_a_refused_call_of_a_batch_says_itself_when_it_was_sent() -> None:
    async with running_collector() as running:
        sent_at = "2026-03-02T09:00:00Z"
        batch = [{"type": "page"}, {"type": "page", "sentAt": "2026-03-02T08:00:00Z"}]
        await post(running, "/v1/batch", {"batch": batch, "sentAt": sent_at})
        kept = [json.loads(letter["value"]) for letter in running.producer.dead_letters]
        assert [one["sentAt"] for one in kept] == [sent_at, "2026-03-02T08:00:00Z"]


async def test_the_real_sending_time_travels_in_a_record_header() -> None:
    async with running_collector() as running:
        await post(running, "/v1/page", PAGE, **{SENT_AT_HEADER: "1772442000123"})
        await post(running, "/v1/page", PAGE, **{SENT_AT_HEADER: "soon"})
        assert [record.headers for record in running.producer.records] == [(("sent_at_ms", b"1772442000123"),), ()]


async def test_times_follow_the_injected_clock() -> None:
    async with running_collector(now_ms=lambda: 86_400_000) as running:
        await post(running, "/v1/page", PAGE)
        assert running.producer.events[0]["received_at"] == 86_400_000
        assert running.producer.events[0]["occurred_at"] == 86_400_000


async def test_future_and_ancient_times_are_taken_and_flagged() -> None:
    async with running_collector() as running:
        for time in ("2031-01-01T00:00:00Z", "1999-01-01T00:00:00Z", -1e14, "never"):
            assert (await post(running, "/v1/page", {**PAGE, "timestamp": time}))[0] == 200
        future, ancient, before_christ, unreadable = running.producer.events
        assert future["occurred_at"] == unreadable["occurred_at"] == NOW
        assert future["flags"] == unreadable["flags"] == {"bot": False, "late": False, "clamped": True}
        assert ancient["flags"] == before_christ["flags"] == {"bot": False, "late": True, "clamped": False}


async def test_the_address_is_truncated_and_a_proxy_believed_only_if_trusted() -> None:
    forwarded = {"X_Forwarded_For": "198.51.100.77"}
    async with running_collector() as running:
        await post(running, "/v1/page", PAGE, **forwarded)
        assert running.producer.events[0]["ip"] == "127.0.0.0"
    async with running_collector(replace(SETTINGS, trusted_proxies=("127.0.0.0/8",))) as running:
        await post(running, "/v1/page", PAGE, **forwarded)
        assert running.producer.events[0]["ip"] == "198.51.100.0"


async def test_a_crawler_is_flagged_and_an_http_library_is_not() -> None:
    async with running_collector() as running:
        await post(running, "/v1/page", PAGE, User_Agent="Mozilla/5.0 (compatible; Googlebot/2.1)")
        await post(running, "/v1/page", PAGE, User_Agent="curl/8.5.0")
        assert [event["flags"]["bot"] for event in running.producer.events] == [True, False]


async def get(running: Running, path: str) -> tuple[int, str, aiohttp.ClientResponse]:
    async with aiohttp.ClientSession() as session, session.get(running.url + path) as answer:
        return answer.status, await answer.text(), answer


async def test_health_and_metrics() -> None:
    async with running_collector() as running:
        assert (await get(running, "/livez"))[0] == 200
        assert (await get(running, "/readyz"))[0] == 200
        assert (await get(running, "/metrics"))[:2] == (200, "leadstream_up 1\n")
        running.producer.away = True
        assert (await get(running, "/readyz"))[0] == 503
        assert json.loads((await get(running, "/health"))[1]) == {"status": "broker_away"}
        assert (await get(running, "/livez"))[0] == 200
        assert (await get(running, "/nothing/here"))[0] == 404
        assert running.metrics.counts["leadstream_collector_requests_total", "route=other", "status=404"] == 1
        assert running.metrics.counts["leadstream_collector_requests_total", "route=/readyz", "status=503"] == 1


async def test_the_tracker_is_served_as_javascript() -> None:
    async with running_collector() as running:
        status, text, answer = await get(running, "/t.js")
        assert status == 200
        assert answer.content_type == "text/javascript"
        assert "leadstream" in text


class SlowProducer(MemoryProducer):
    """Acknowledges when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.acknowledge = asyncio.Event()

    async def send(self, records: Sequence[OutgoingRecord]) -> None:
        self.asked += 1
        await self.acknowledge.wait()
        await super().send(records)


async def test_a_drain_fails_readiness_and_finishes_what_is_in_flight() -> None:
    producer = SlowProducer()
    async with running_collector(producer=producer) as running:
        request = asyncio.create_task(post(running, "/v1/page", PAGE))
        await eventually(lambda: producer.asked == 1)
        running.collector.drain()
        assert (await get(running, "/readyz"))[:1] == (503,)
        stopping = asyncio.create_task(running.server.stop())
        await asyncio.sleep(0)
        assert not request.done()
        producer.acknowledge.set()
        assert (await request)[0] == 200
        await stopping
        assert len(producer.records) == 1
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(running, "/livez")


async def test_too_many_requests_in_flight_get_503() -> None:
    producer = SlowProducer()
    async with running_collector(with_limits(requests_in_flight=1), producer=producer) as running:
        first = asyncio.create_task(post(running, "/v1/page", PAGE))
        await eventually(lambda: producer.asked == 1)
        status, _, answer = await post(running, "/v1/page", PAGE)
        assert (status, answer.headers["Retry-After"]) == (503, "2")
        assert (await get(running, "/livez"))[0] == 200
        producer.acknowledge.set()
        assert (await first)[0] == 200


async def test_a_body_that_does_not_arrive_gets_408() -> None:
    async with running_collector(with_limits(read_seconds=0.05)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
        writer.write(b"POST /v1/page HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        async with asyncio.timeout(5):
            assert b" 408 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_a_port_in_use_is_an_error_at_the_start() -> None:
    async with running_collector() as running:
        other = CollectorServer(running.collector, port=running.server.port)
        with pytest.raises(OSError, match=str(running.server.port)):
            await other.start()


async def test_no_free_descriptor_for_the_port_is_an_error_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async with running_collector() as running:
        other = CollectorServer(running.collector, port=0)
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", refuse)
            with pytest.raises(OSError, match="Too many open files"):
                await other.start()


async def test_no_body_and_no_key_is_ever_logged_or_measured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_collector() as running:
        await get(running, "/secret-path?writeKey=secret-key")
        await post(running, "/v1/page?writeKey=secret-key", PAGE, Authorization="Bearer secret-key")
        await post(running, "/v1/page", {**PAGE, "anonymousId": "secret-visitor", "writeKey": "secret-key"})
        await post(running, "/v1/page", b'{"secret-body"')
        running.producer.away = True
        await post(running, "/v1/page", {**PAGE, "writeKey": "secret-key"})
    assert "secret" not in caplog.text
    assert "secret" not in str(running.metrics.counts)
