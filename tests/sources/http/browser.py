"""Chromium through WebDriver's own HTTP protocol (https://www.w3.org/TR/webdriver2/), without a client library."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streams.embedded.process import free_port
from tests.eventually import eventually

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def require_chromium() -> tuple[str, str]:
    """Paths of Chromium and its driver. Skips where they are missing; fails there in CI, which must have them."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    if os.environ.get("CI") == "true":
        pytest.fail("CI must run the browser tests: install chromium and chromium-driver")
    pytest.skip("NOT TESTED IN A BROWSER: chromium and chromedriver are not on the PATH")


@dataclass(frozen=True, slots=True)
class Browser:
    session: aiohttp.ClientSession
    url: str

    async def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self.session.request(method, self.url + path, json=body) as answer:
            value = (await answer.json())["value"]
            assert answer.status == 200, value
            return value

    async def open(self, url: str) -> None:
        await self.command("POST", "/url", {"url": url})

    async def run(self, script: str) -> Any:
        """The value that the script returns."""
        return await self.command("POST", "/execute/sync", {"script": script, "args": []})

    async def emulate(self, *, width: int, dark: bool) -> None:
        """A screen so wide (CSS pixels), and the visitor's wish for dark or light colours."""
        await self._devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    async def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        """https://chromedevtools.github.io/devtools-protocol/, which Chromium's driver passes on."""
        await self.command("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})


@asynccontextmanager
async def running_browser(profile: Path) -> AsyncIterator[Browser]:
    program, driver = require_chromium()
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        driver, f"--port={port}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    options = {"binary": program, "args": [*FLAGS, f"--user-data-dir={profile}"]}
    wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            root = Browser(session, f"http://127.0.0.1:{port}")
            await eventually(lambda: _answers(root), seconds=20)
            started = await root.command("POST", "/session", wanted)
            browser = Browser(session, f"{root.url}/session/{started['sessionId']}")
            try:
                yield browser
            finally:
                await browser.command("DELETE", "")
    finally:
        process.terminate()
        await process.wait()


async def _answers(driver: Browser) -> bool:
    try:
        return bool((await driver.command("GET", "/status"))["ready"])
    except aiohttp.ClientError:
        return False
