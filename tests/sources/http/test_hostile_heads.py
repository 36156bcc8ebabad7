"""Heads of requests that try to break the server, its answers or its log."""

import asyncio
import logging

import pytest

from sources.http.requests import KEPT_HEADERS
from tests.sources.http.running import Running, running_collector

BODY = b'{"type":"page","anonymousId":"a"}'
POST = b"POST /v1/page HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s"
READ = (
    *KEPT_HEADERS,
    "Authorization",
    "Cookie",
    "X-Forwarded-For",
    "X-Leadstream-Sent-At",
    "Access-Control-Request-Headers",
)
SPLIT = b"a\rSet-Cookie: evil=1\x0bX-Evil: 1\x85X-Evil: 1"
VALUES = [
    SPLIT,
    b"\x1b[2J\x1b]0;evil\x07",
    b"\xff\xfe\xc3",
    "\u2028\u202e\U000e0001".encode(),
    b"x" * 8_000,
    b"",
    b'"\\',
    b"\x00",
]
HEADS = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /v1/page\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"POST /v1/page HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/page HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
    b"POST /v1/page HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[2J\r\nevil\r\n",
    b"POST /v1/page HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 50_000 + b"\r\n",
    b"POST /v1/page HTTP/1.1\r\nHost: x\r\n\x1b[31mBad Name: 1\r\n\r\n",
]


async def answer(running: Running, sent: bytes) -> bytes:
    """All that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
    try:
        writer.write(sent)
        await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def check(head: bytes, log: pytest.LogCaptureFixture) -> None:
    """It is no failure of ours; neither its head nor the log says what the request wrote to steer them."""
    assert head.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4", b"HTTP/1.1 200")) or not head  # closed while it still sent
    lines = head.partition(b"\r\n\r\n")[0].splitlines()
    assert not [line for line in lines if line.lower().startswith((b"x-evil", b"set-cookie"))]
    assert b"\x1b" not in head
    assert not [record for record in log.records if record.levelno >= logging.ERROR]
    assert not set("\x1b\x07\x85\u2028\u202e") & set(log.text)
    assert "evil" not in log.text.casefold()


@pytest.mark.parametrize("head", HEADS)
async def test_a_broken_head_is_refused_and_the_next_request_is_served(
    head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_collector() as running:
        check(await answer(running, head), caplog)
        assert b" 200 " in await answer(running, POST % (len(BODY), b"", BODY))


@pytest.mark.parametrize("name", READ)
async def test_whatever_a_header_holds_it_steers_neither_answer_nor_log(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_collector() as running:
        for value in VALUES:
            for body in (BODY, b"{"):
                check(await answer(running, POST % (len(body), name.encode() + b": " + value + b"\r\n", body)), caplog)
        assert b" 200 " in await answer(running, POST % (len(BODY), b"", BODY))


async def test_a_key_in_a_line_that_is_no_header_comes_into_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async with running_collector() as running:
        for line in (b"Authorization: Bearer hunter2\rx\r\n", b"Authorization Bearer hunter2\r\n"):
            assert b" 400 " in await answer(running, POST % (len(BODY), line, BODY))
    assert caplog.text == ""


async def test_a_failure_of_ours_is_logged_without_the_address_of_the_client(caplog: pytest.LogCaptureFixture) -> None:
    def explain(event: object) -> None:
        raise RuntimeError("a bug")

    async with running_collector(explain=explain) as running:
        event = b'{"type":"page_view","anonymous_id":"a"}'
        asked = (POST % (len(event), b"", event)).replace(b"/v1/page", b"/v1/events?explain=1")
        assert b" 500 " in await answer(running, asked)
    [record] = caplog.records
    assert (record.getMessage(), record.levelno) == ("a request failed", logging.ERROR)
    assert "RuntimeError: a bug" in caplog.text
    assert "127.0.0.1" not in caplog.text
