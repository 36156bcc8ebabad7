import json
import logging
from dataclasses import replace

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.http.cors import Origins
from tests.sources.http.running import SETTINGS, Running, running_collector

SITE = "https://www.example.com"
PAGE = json.dumps({"type": "page", "anonymousId": "a"}).encode()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (SITE, True),
        ("https://WWW.example.com", True),
        ("http://www.example.com", False),
        ("https://www.example.com:8443", False),
        ("https://www.example.com.evil.example", False),
        ("https://evil.example", False),
        ("null", False),
        ("http://localhost:3000", False),
        ("http://127.0.0.1:8080", True),  # the collector's own pages
    ],
)
def test_an_origin_is_allowed_by_its_exact_text(origin: str, allowed: bool) -> None:
    assert Origins((SITE + "/",), allow_loopback=False).allows(origin, "127.0.0.1:8080") is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("https://localhost", True),
        ("http://127.0.0.1:5173", True),
        ("http://[::1]:5173", True),
        ("http://shop.localhost:3000", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost@evil.example", False),
        ("null", False),
    ],
)
def test_every_loopback_origin_is_allowed_if_told_so(origin: str, allowed: bool) -> None:
    assert Origins((), allow_loopback=True).allows(origin, "x") is allowed


@given(st.text())
def test_no_origin_breaks_it(origin: str) -> None:
    origins = Origins((SITE,), allow_loopback=True)
    if not origins.allows(origin, "x"):
        assert origins.refused(origin)


def test_a_refused_origin_is_named_once_with_the_line_to_add(caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins((SITE,), allow_loopback=False)
    for _ in range(3):
        origins.refused("https://shop.example.com")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    line = 'origins = ["https://www.example.com", "https://shop.example.com"]'
    assert line in record.getMessage()


def test_a_flood_of_origins_fills_neither_log_nor_memory(caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins((), allow_loopback=False)
    for number in range(3_000):
        origins.refused(f"https://{number}.example")
    assert len(caplog.records) == 1_000


def test_an_origin_cannot_write_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    Origins((), allow_loopback=False).refused('https://x\n[collector]\norigins = ["https://evil"]')
    assert "\n" not in caplog.records[0].getMessage()


async def ask(running: Running, method: str, **headers: str) -> aiohttp.ClientResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = PAGE if method == "POST" else None
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, running.url + "/v1/b", data=body, headers=named) as answer,
    ):
        await answer.read()
        return answer


async def test_a_preflight_is_answered_with_the_headers_asked_for() -> None:
    async with running_collector() as running:
        names = "anonymousid,authorization,content-type,sentat"
        answer = await ask(
            running,
            "OPTIONS",
            Origin=SITE,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers=names,
        )
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == SITE
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Access-Control-Allow-Headers"] == names
        assert answer.headers["Access-Control-Max-Age"] == "7200"
        assert answer.headers["Vary"] == "Origin"


async def test_every_answer_to_an_allowed_origin_can_be_read_by_the_page() -> None:
    async with running_collector() as running:
        assert (await ask(running, "POST", Origin=SITE)).headers["Access-Control-Allow-Origin"] == SITE
        running.producer.away = True
        away = await ask(running, "POST", Origin=SITE)
        assert (away.status, away.headers["Access-Control-Allow-Origin"]) == (503, SITE)
        assert away.headers["Access-Control-Expose-Headers"] == "Retry-After"


async def test_a_refused_origin_gets_403_even_without_a_preflight_and_nothing_is_stored() -> None:
    async with running_collector() as running:
        for method in ("OPTIONS", "POST"):
            answer = await ask(running, method, Origin="https://evil.example")
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert running.producer.records == []


async def test_a_request_without_an_origin_is_no_matter_of_cors() -> None:
    async with running_collector(replace(SETTINGS, origins=())) as running:
        assert (await ask(running, "POST")).status == 200
