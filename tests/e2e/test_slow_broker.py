"""A broker that is slow or hangs, and a collector that is told to stop: by real HTTP, through a proxy before the broker."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.brokers import Broker
from tests.e2e.deployment import Deployment, deployment
from tests.e2e.test_spool import seen_in_kafka
from tests.eventually import eventually
from tests.flaky_proxy import FlakyProxy
from tests.slow_broker import broker_behind_proxy

SLOW_SECONDS = 0.3
DRAINED = "leadstream_collector_spool_drained_total"


@dataclass
class Slow:
    parts: Deployment
    proxy: FlakyProxy
    session: aiohttp.ClientSession
    sent: list[object]  # one for each body

    async def post(self, number: int) -> int:
        body = {"type": "page_view", "anonymous_id": f"lead-{number % 7}", "event_id": f"e{number}"}
        async with self.session.post(f"{self.parts.url}/v1/events", json=body) as response:
            return response.status

    async def status(self) -> str:
        async with self.session.get(f"{self.parts.url}/health") as response:
            return str(json.loads(await response.text())["status"])

    async def metric(self, name: str) -> float:
        async with self.session.get(f"{self.parts.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    async def in_kafka(self) -> set[str]:
        self.proxy.delay_seconds = 0.0
        return {event_id for found in (await seen_in_kafka(self.parts)).values() for event_id in found}


@asynccontextmanager
async def slow(redis_url: str, prefix: str, logs: Path, *, spool: bool) -> AsyncIterator[Slow]:
    sent: list[object] = []
    trace = aiohttp.TraceConfig()

    async def note(*_: object) -> None:
        sent.append(None)

    trace.on_request_chunk_sent.append(note)
    async with (
        broker_behind_proxy() as (servers, proxy),
        deployment(Broker("embedded", servers), redis_url, prefix, logs) as parts,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200), trace_configs=[trace]) as session,
    ):
        parts.start_collector(**({"LEADSTREAM_COLLECTOR_SPOOL_DIR": str(logs / "spool")} if spool else {}))
        await parts.ready("collector")
        yield Slow(parts, proxy, session, sent)


async def test_a_slow_broker_makes_answers_slow_and_nothing_else(redis_url: str, prefix: str, tmp_path: Path) -> None:
    async with slow(redis_url, prefix, tmp_path, spool=True) as site:
        site.proxy.delay_seconds = SLOW_SECONDS
        for first in range(0, 200, 50):
            assert set(await asyncio.gather(*(site.post(number) for number in range(first, first + 50)))) == {200}
        assert await site.metric(DRAINED) == 0, "a slow broker takes records: none makes the detour"
        assert await site.in_kafka() == {f"e{number}" for number in range(200)}


async def test_a_connection_to_the_broker_that_is_half_open_is_answered_from_the_spool(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with slow(redis_url, prefix, tmp_path, spool=True) as site:
        assert await site.post(0) == 200
        site.proxy.flows.clear()
        assert set(await asyncio.gather(*(site.post(number) for number in range(1, 30)))) == {200}
        assert await site.status() == "spooling"
        assert set(await asyncio.gather(*(site.post(number) for number in range(30, 60)))) == {200}
        site.proxy.flows.set()

        async def drained() -> bool:
            return await site.status() == "ok"

        await eventually(drained, seconds=20)
        assert await site.in_kafka() == {f"e{number}" for number in range(60)}


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_collector_that_is_told_to_stop_answers_what_is_in_flight_and_loses_nothing(
    redis_url: str, prefix: str, tmp_path: Path, hangs: bool
) -> None:
    async with slow(redis_url, prefix, tmp_path, spool=True) as site:
        site.proxy.delay_seconds = SLOW_SECONDS
        if hangs:
            site.proxy.flows.clear()
        requests = [asyncio.create_task(site.post(number)) for number in range(50)]
        await eventually(lambda: len(site.sent) == 50)
        for _ in range(2):
            await site.status()  # the collector has read what was sent before this
        child = site.parts.children["collector"]
        child.send(signal.SIGTERM)
        assert await asyncio.gather(*requests) == [200] * 50
        await eventually(lambda: child.exit_code is not None, seconds=20)
        assert child.exit_code == 0
        site.proxy.flows.set()
        # On a busy machine the slow broker sends something to the spool, too.
        site.parts.start_collector(LEADSTREAM_COLLECTOR_SPOOL_DIR=str(tmp_path / "spool"))
        await site.parts.ready("collector")

        async def drained() -> bool:
            return await site.status() == "ok"

        await eventually(drained, seconds=20)
        assert await site.in_kafka() == {f"e{number}" for number in range(50)}
