"""`leadstream up` from the first line on the terminal to the last: as a web developer who tries it."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from processors.models import load_shipped
from tests.e2e.running_up import RunningUp, running_up
from tests.eventually import eventually
from tests.streams.embedded.test_process import runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: the children are found in /proc"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="NOT TESTED: the pasted line needs curl"),
]
SETTINGS = """
[collector]
origins = ["https://www.acme.example"]
[[write_keys]]
name = "website"
key = "web_1"
"""


async def send(up: RunningUp, *calls: dict[str, Any]) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{up.url}/v1/b", json={"batch": calls}) as response,
    ):
        assert response.status == 200


async def newest(up: RunningUp) -> dict[str, Any]:
    request: dict[str, Any] = (await up.page())["requests"][0]
    return request


async def test_from_the_first_line_to_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(load_shipped("reference"))
    async with running_up(tmp_path, "--model", "ours.yaml") as up:
        assert "in memory: everything is gone when it stops" in up.output
        assert ", 17 rules, from ours.yaml\n" in up.output
        async with aiohttp.ClientSession() as session, session.get(f"{up.url}/") as response:
            page = await response.text()
        assert "&lt;script async src=&quot;" + up.url + "/t.js&quot; data-key=&quot;dev&quot;&gt;" in page

        answer = up.shell(up.line("Or send an event: "))
        assert [rule["id"] for rule in answer["items"][0]["rules"]] == ["pricing-page"]
        request = await newest(up)
        assert request["url"] == "https://www.acme.example/pricing", "a host that the model scores"
        assert request["points"] == [{"name": "Viewed pricing", "points": 15.0}]

        traits = {"email": "ada@bigbank.example", "title": "CTO", "employees": 1200, "country": "CN"}
        await send(
            up,
            {"type": "identify", "anonymousId": "b1", "traits": traits},
            {"type": "track", "anonymousId": "b1", "event": "Event Attended", "properties": {"asset": "Data Summit"}},
            {"type": "track", "anonymousId": "b1", "event": "download", "properties": {"asset": "whitepaper"}},
        )
        await up.says("Why now: Came to an event")
        await up.says(" if nothing happens")
        assert "ada@bigbank.example, CTO, " in up.output
        await eventually(lambda: _scored(up, "1b1", 60.0))
        lead = (await up.page())["leads"]["1b1"]
        assert (lead["who"], lead["stage"], lead["grade"]) == ("ada@bigbank.example", "mql", "B2")

        children = up.children()
        assert len(children) == 5, children
        up.process.send_signal(signal.SIGINT)
        assert await up.ended() == 0
        assert up.output.endswith("stopping ...\nstopped; nothing is left\n")
        assert not [pid for pid in children if runs(pid)]
        assert up.files() == []


async def _scored(up: RunningUp, key: str, score: float) -> bool:
    lead = (await up.page())["leads"].get(key)
    return lead is not None and abs(lead["score"] - score) < 0.1


async def test_a_killed_worker_is_started_again_and_a_dead_collector_ends_it(tmp_path: Path) -> None:
    (tmp_path / "leadstream.toml").write_text(SETTINGS)
    async with running_up(tmp_path) as up:
        assert re.search(r", 7 rules, from the package \(minimal.yaml; your own: \S*leadstream init\)\n", up.output)
        assert 'data-key="web_1"' in up.line("Paste before </head>: ")
        await _refuse_and_allow(up)

        os.kill(up.child("streams worker"), signal.SIGKILL)
        await up.says("was killed (SIGKILL); starting worker-2")
        up.shell(up.line("Or send an event: "))
        await up.says("worker-2 took over")
        await eventually(lambda: _scored(up, "1me", 15.0), 20)

        os.kill(up.child("streams collector"), signal.SIGKILL)
        assert await up.ended() == 1
        assert "collector (pid " in up.output
        assert re.search(r"collector \(pid \d+\) was killed \(SIGKILL\)\n", up.output)
        assert up.files() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_in_the_middle_of_the_start_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    async with running_up(tmp_path, until="model activated") as up:
        await eventually(lambda: len(up.children()) == 5)
        children = up.children()
        up.process.send_signal(number)
        assert await up.ended() == 0
        assert not [pid for pid in children if runs(pid)]
        assert up.files() == []
        assert "Traceback" not in up.output


async def _refuse_and_allow(up: RunningUp) -> None:
    """An origin that is not allowed is told on the terminal and on the page; localhost and those of the file may send."""
    call = {"type": "page", "anonymousId": "b2", "writeKey": "web_1", "context": {"page": {"url": "/x"}}}
    statuses = {}
    async with aiohttp.ClientSession() as session:
        for origin in ("http://localhost:3000", "https://www.acme.example", "http://my.test:3000"):
            async with session.post(f"{up.url}/v1/p", json=call, headers={"Origin": origin}) as response:
                statuses[origin] = response.status
    assert statuses == {"http://localhost:3000": 200, "https://www.acme.example": 200, "http://my.test:3000": 403}
    line = 'origins = ["https://www.acme.example", "http://my.test:3000"]'
    await up.says(line)
    refused = await newest(up)
    assert (refused["outcome"], refused["url"]) == ("refused", "http://my.test:3000")
    assert line in refused["why"]
