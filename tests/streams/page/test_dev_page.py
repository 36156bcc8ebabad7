"""The page at / of the collector in `up`: over HTTP, and in a real browser with hostile input."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from processors.model import ScoringModel, read_model
from processors.models import load_shipped
from sources.http.app import Collector
from sources.http.server import CollectorServer
from streams.page.dev_page import DevPage, LeadNow
from streams.page.recent_requests import RecentRequests
from streams.settings.config import Collector as CollectorKeys
from streams.settings.config import Settings, WriteKey
from tests.eventually import eventually
from tests.sources.fakes import CountingMetrics, MemoryProducer
from tests.sources.http.browser import Browser, running_browser
from tests.sources.http.running import NOW
from tests.sources.http.running import SETTINGS as COLLECTOR

MODEL = read_model(load_shipped("minimal"))
HOSTILE = "<img src=x onerror=alert(1)>\u202e</pre><script>window.hurt = 1</script>'\""
SETTINGS = Settings(collector=CollectorKeys(port=8080, dev_page=True))


@dataclass
class Page:
    url: str
    session: aiohttp.ClientSession
    model: ScoringModel | None = MODEL

    async def send(self, *events: dict[str, Any], **headers: str) -> int:
        async with self.session.post(f"{self.url}/v1/events", json=list(events), headers=headers) as response:
            return response.status

    async def state(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/dev/requests") as response:
            state: dict[str, Any] = await response.json()
            return state


async def _leads_now(keys: Sequence[str]) -> dict[str, LeadNow]:
    return {key: LeadNow(who="ada@bigbank.example", score=75.0, stage="mql", grade="C2") for key in keys}


@asynccontextmanager
async def running_page(settings: Settings = SETTINGS) -> AsyncIterator[Page]:
    requests = RecentRequests(lambda: NOW)
    collector = Collector(
        replace(COLLECTOR, allow_loopback_origins=True),
        MemoryProducer(),
        metrics=CountingMetrics(),
        metrics_page=lambda: b"",
        on_event=requests.accept,
        now_ms=lambda: NOW,
    )
    app = collector.app()
    async with aiohttp.ClientSession() as session:
        page = Page("", session)
        DevPage(settings, requests, lambda: page.model, _leads_now).add_to(app)
        server = CollectorServer(collector, app, port=0)
        await server.start()
        page.url = f"http://127.0.0.1:{server.port}"
        try:
            yield page
        finally:
            await server.stop()


def pricing(**more: Any) -> dict[str, Any]:
    return {"type": "page_view", "anonymous_id": "b1", "url": "https://www.example.com/pricing", **more}


async def test_the_page_has_what_to_paste_and_says_that_all_is_in_memory() -> None:
    keyed = replace(SETTINGS, write_keys=[WriteKey("website", 'web"1')])
    async with running_page(keyed) as page, page.session.get(f"{page.url}/") as response:
        text = await response.text()
        assert response.content_type == "text/html"
        assert "in memory: everything is gone when it stops" in text
        assert "That it is a repeat, or above a limit or a cap, shows in the lead." in text
        assert "&lt;script async src=&quot;http://127.0.0.1:8080/t.js&quot; data-key=&quot;web&amp;quot;1&quot;" in text
        assert "curl -u &#x27;web&quot;1:&#x27; -d" in text
        assert "$" not in text, "every placeholder was filled"
        assert "https://" not in text.replace("https://www.example.com/pricing", ""), "nothing from elsewhere"
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy


async def test_an_event_shows_with_what_it_scored_and_its_lead_as_it_is_now() -> None:
    async with running_page() as page:
        assert await page.send(pricing(), pricing(type="imprint")) == 200
        state = await page.state()
        assert (state["total"], state["model"]["rules"], state["model"]["hosts"]) == (2, 7, [])
        nothing, scored = state["requests"]
        assert (nothing["event"], nothing["why"]) == (
            "imprint",
            'fits no rule of the model; no rule names the event "imprint"',
        )
        assert scored["points"] == [{"name": "Viewed pricing", "points": 15.0}]
        assert state["leads"]["1b1"] == {"who": "ada@bigbank.example", "score": 75.0, "stage": "mql", "grade": "C2"}


async def test_what_is_refused_shows_with_the_reason_too() -> None:
    async with running_page() as page:
        assert await page.send(pricing(), Origin="http://my.test:3000") == 403
        assert await page.send(pricing(), {"type": "page_view"}) == 200, "one item can be used, one not"
        async with page.session.post(f"{page.url}/v1/t", data=b"{") as response:
            assert response.status == 400
        async with page.session.options(f"{page.url}/v1/t", headers={"Origin": "http://b.test"}) as response:
            assert response.status == 403
        shown = (await page.state())["requests"]
        refused = [(each["event"], each["url"]) for each in shown if each["outcome"] == "refused"]
        assert refused == [
            ("OPTIONS /v1/t", "http://b.test"),
            ("POST /v1/t", "from 127.0.0.1"),
            ("POST /v1/events", "from 127.0.0.1"),
            ("POST /v1/events", "http://my.test:3000"),
        ]
        assert "this origin may not send; to let it, write in leadstream.toml" in shown[-1]["why"]
        assert len(shown) == 5


@pytest.mark.parametrize("path", ["/", "/dev/requests"])
async def test_another_host_name_that_points_here_gets_nothing(path: str) -> None:
    async with running_page() as page:
        await page.send(pricing(traits={"email": "ada@bigbank.example"}))
        for host in ("evil.example", "127.0.0.1.evil.example:8080", "", "[::"):
            async with page.session.get(page.url + path, headers={"Host": host}) as response:
                assert response.status in {400, 403}, host
                assert "ada@" not in await response.text()
        async with page.session.get(
            page.url + path, headers={"Host": "localhost:8080", "Origin": "http://b.test"}
        ) as response:
            assert response.status == 200
            assert "Access-Control-Allow-Origin" not in response.headers, "no other page may read it"


async def test_without_a_model_the_page_says_so_and_text_that_is_no_unicode_passes() -> None:
    async with running_page() as page:
        page.model = None
        await page.send(pricing(anonymous_id="b\ud800"))
        await page.send(pricing())
        state = await page.state()
        assert state["model"] is None
        assert "waiting for the model" in {each["why"] for each in state["requests"]}


# In a browser.


@asynccontextmanager
async def in_browser(tmp_path: Path, page: Page) -> AsyncIterator[Browser]:
    async with running_browser(tmp_path / "profile") as browser:
        await browser.open(f"{page.url}/")
        yield browser


@pytest.mark.browser
async def test_an_empty_page_says_what_to_do_and_fills_by_itself(tmp_path: Path) -> None:
    async with running_page() as page, in_browser(tmp_path, page) as browser:
        await eventually(lambda: _text_has(browser, "Nothing has arrived yet"))
        await page.send(pricing())
        await eventually(lambda: _text_has(browser, "+15.0 Viewed pricing"))
        text = await browser.run("return document.body.innerText")
        assert "Nothing has arrived yet" not in text
        assert "75.0, mql, C2" in text
        assert "ada@bigbank.example" in text


@pytest.mark.browser
async def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = replace(MODEL, name=HOSTILE, site_hosts=("*", HOSTILE))
    async with running_page() as page:
        page.model = hostile
        await page.send(
            pricing(
                anonymous_id=HOSTILE, type=HOSTILE, url=f"javascript:alert(1)//{HOSTILE}", traits={HOSTILE: HOSTILE}
            )
        )
        await page.send(pricing(), Origin=f"http://my.test/{HOSTILE.encode('ascii', 'ignore').decode()}")
        async with in_browser(tmp_path, page) as browser:
            await eventually(lambda: _text_has(browser, "onerror=alert(1)"))
            found = await browser.run(
                "return {images: document.images.length, links: document.links.length, hurt: window.hurt === undefined,"
                " scripts: document.scripts.length, rows: document.querySelectorAll('#rows tr').length}"
            )
            assert found == {"images": 0, "links": 0, "hurt": True, "scripts": 1, "rows": 2}


@pytest.mark.browser
async def test_the_policy_stops_a_script_that_gets_in_nevertheless(tmp_path: Path) -> None:
    async with running_page() as page, in_browser(tmp_path, page) as browser:
        await browser.run(
            "document.addEventListener('securitypolicyviolation', (event) => { window.stopped = event.violatedDirective });"
            "const script = document.createElement('script'); script.textContent = 'window.hurt = 1';"
            "document.body.append(script)"
        )
        await eventually(lambda: _is(browser, "window.stopped", "script-src-elem"))
        assert await browser.run("return window.hurt === undefined")


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
async def test_nothing_hangs_over_the_edge_of_a_phone(tmp_path: Path, width: int) -> None:
    async with running_page() as page:
        await page.send(pricing(url="https://www.example.com/" + "pricing" * 30, anonymous_id="a" * 200))
        async with in_browser(tmp_path, page) as browser:
            await browser.emulate(width=width, dark=width < 1000)
            await eventually(lambda: _text_has(browser, "pricingpricing"))
            assert await browser.run("return document.documentElement.scrollWidth - innerWidth") <= 0


async def _text_has(browser: Browser, text: str) -> bool:
    return await _is(browser, f"document.body.innerText.includes({json.dumps(text)})", True)


async def _is(browser: Browser, expression: str, value: object) -> bool:
    found: object = await browser.run(f"return {expression}")
    return found == value
