"""/t.js in a real browser, on pages of another origin than the collector's."""

import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.eventually import eventually
from tests.sources.http.browser import Browser, running_browser
from tests.sources.http.running import SETTINGS, Running, running_collector

TRACKER = resources.files("sources.http").joinpath("static", "t.js")
browser_test = pytest.mark.browser


def test_the_tracker_is_under_100_lines_and_2_kb() -> None:
    script = TRACKER.read_bytes()
    assert len(script.splitlines()) < 100
    assert len(gzip.compress(script, 9)) < 2_000


@asynccontextmanager
async def site(script_url: str) -> AsyncIterator[str]:
    """Pages of any path, with the snippet in their head; the query `head` puts a script before it."""

    async def page(request: web.Request) -> web.Response:
        before = f"<script>{request.query.get('head', '')}</script>"
        snippet = f'<script async src="{script_url}/t.js" data-key="web_1"></script>'
        return web.Response(
            text=f"<!doctype html><title>Page {request.path}</title>{before}{snippet}", content_type="text/html"
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def setting(tmp_path: Path, *, allowed: bool = True) -> AsyncIterator[tuple[Browser, Running, str]]:
    settings = replace(SETTINGS, allow_loopback_origins=allowed)
    async with (
        running_collector(settings) as running,
        site(running.url) as origin,
        running_browser(tmp_path / "profile") as browser,
    ):
        yield browser, running, origin


def of_type(running: Running, kind: str) -> list[dict[str, Any]]:
    return [event for event in running.producer.events if event["type"] == kind]


@browser_test
async def test_a_page_view_comes_from_another_origin(tmp_path: Path) -> None:
    async with setting(tmp_path) as (browser, running, origin):
        await browser.open(f"{origin}/pricing?utm_source=News&gclid=Ab#top")
        await eventually(lambda: of_type(running, "page_view") != [])
        (event,) = running.producer.events
        assert event["url"] == f"{origin}/pricing?utm_source=News&gclid=Ab#top"
        assert event["title"] == "Page /pricing"
        assert event["campaign"]["source"] == "news"
        assert event["click_id"] == {"kind": "gclid", "value": "Ab"}
        assert len(event["anonymous_id"]) == 32
        assert event["source"]["library"] == "t.js"
        assert event["flags"] == {"bot": True, "late": False, "clamped": False}, "a headless browser says so"
        assert running.metrics.counts["leadstream_collector_requests_total", "route=/v1/b", "status=200"] == 1


@browser_test
async def test_a_single_page_application_gives_a_page_view_for_each_move(tmp_path: Path) -> None:
    async with setting(tmp_path) as (browser, running, origin):
        await browser.open(f"{origin}/")
        await eventually(lambda: len(of_type(running, "page_view")) == 1)
        await browser.run("history.pushState({}, '', '/product'); document.title = 'Product'; location.hash = 'part'")
        await eventually(lambda: len(of_type(running, "page_view")) == 2)
        await browser.run("history.back(); ")
        await browser.run("history.back()")
        await eventually(lambda: len(of_type(running, "page_view")) == 3)
        first, second, third = of_type(running, "page_view")
        assert second["url"].startswith(f"{origin}/product")
        assert (second["title"], second["referrer"]) == ("Product", f"{origin}/")
        assert third["url"] == f"{origin}/"
        assert {first["anonymous_id"], second["anonymous_id"], third["anonymous_id"]} == {first["anonymous_id"]}
        left = of_type(running, "page_left")
        assert [event["url"] for event in left] == [f"{origin}/", left[1]["url"]]
        assert left[1]["url"].startswith(f"{origin}/product")
        assert all(event["duration_seconds"] >= 0 for event in left)


@browser_test
async def test_track_and_identify_also_before_the_script_has_loaded(tmp_path: Path) -> None:
    async with setting(tmp_path) as (browser, running, origin):
        early = "(window.leadstream=window.leadstream||[]).push(['track','Early Act',{form:'demo'}])"
        await browser.open(f"{origin}/?head={early}")
        await eventually(lambda: of_type(running, "early_act") != [])
        await browser.run("leadstream.identify('user-1', {email: 'ada@bigbank.example', title: 'CTO'})")
        await browser.run("leadstream.track('Form Submitted', {form: 'contact'})")
        await eventually(lambda: of_type(running, "form_submitted") != [])
        (identify,) = of_type(running, "identify")
        assert identify["traits"] == {"email": "ada@bigbank.example", "title": "CTO"}
        assert (identify["user_id"], identify["email_kind"]) == ("user-1", "business")
        (form,) = of_type(running, "form_submitted")
        assert (form["asset"], form["user_id"]) == ("contact", "user-1")
        assert of_type(running, "early_act")[0]["asset"] == "demo"
        assert of_type(running, "early_act")[0]["user_id"] is None
        await browser.run("leadstream.reset(); leadstream.track('After')")
        await eventually(lambda: of_type(running, "after") != [])
        (after,) = of_type(running, "after")
        assert after["user_id"] is None
        assert after["anonymous_id"] != form["anonymous_id"]


@browser_test
async def test_leaving_a_page_sends_a_beacon_with_the_time_it_was_seen(tmp_path: Path) -> None:
    async with setting(tmp_path) as (browser, running, origin):
        await browser.open(f"{origin}/article")
        await eventually(lambda: len(of_type(running, "page_view")) == 1)
        await browser.run("window.fetch = () => { throw new Error('only the beacon may be used') }")
        await browser.open("about:blank")
        await eventually(lambda: of_type(running, "page_left") != [])
        (left,) = of_type(running, "page_left")
        assert left["url"] == f"{origin}/article"
        assert 0 < left["duration_seconds"] < 60


@browser_test
async def test_the_visitor_stays_the_same_over_pages_and_without_local_storage(tmp_path: Path) -> None:
    async with setting(tmp_path) as (browser, running, origin):
        blocked = "Object.defineProperty(window,'localStorage',{get(){throw new Error('blocked')}})"
        for path in ("/a", "/b"):
            await browser.open(f"{origin}{path}")
        await eventually(lambda: len(of_type(running, "page_view")) == 2)
        for path in ("/c", "/d"):
            await browser.open(f"{origin}{path}?head={blocked}")
        await eventually(lambda: len(of_type(running, "page_view")) == 4)
        a, b, c, d = (event["anonymous_id"] for event in of_type(running, "page_view"))
        assert a == b
        assert c == d
        assert c in await browser.run("return document.cookie")


@browser_test
async def test_what_the_collector_cannot_take_now_is_sent_again_and_counts_once(tmp_path: Path) -> None:
    async with setting(tmp_path) as (browser, running, origin):
        running.producer.away = True
        await browser.open(f"{origin}/")
        counts = running.metrics.counts
        await eventually(lambda: counts["leadstream_collector_requests_total", "route=/v1/b", "status=503"] >= 1)
        assert running.producer.events == []
        running.producer.away = False
        await eventually(lambda: len(of_type(running, "page_view")) == 1, seconds=20)


@browser_test
async def test_a_refused_origin_stores_nothing_and_the_log_says_what_to_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with setting(tmp_path, allowed=False) as (browser, running, origin):
        await browser.open(f"{origin}/")
        counts = running.metrics.counts
        await eventually(lambda: counts["leadstream_collector_requests_total", "route=/v1/b", "status=403"] >= 1)
        assert running.producer.records == []
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert f'"{origin}"]' in record.getMessage()
    assert 'origins = ["https://www.example.com", "' in record.getMessage()
