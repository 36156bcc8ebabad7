"""What a client and an operator see of the spool."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from sources.spool.spool import Spool
from sources.spool.spooling_producer import SpoolingProducer
from tests.eventually import eventually
from tests.sources.fakes import CountingMetrics, MemoryProducer
from tests.sources.http.running import NOW, Running, running_collector

EVENT = {"type": "page_view", "anonymous_id": "a1", "event_id": "e1"}


@asynccontextmanager
async def spooling_collector(directory: Path, max_bytes: int) -> AsyncIterator[tuple[Running, MemoryProducer]]:
    brokers = MemoryProducer()
    producer = SpoolingProducer(brokers, Spool(directory, max_bytes, now_ms=lambda: NOW - 5_000), CountingMetrics())
    await producer.start()
    try:
        async with running_collector(producer=producer, spool=producer.status) as running:
            yield running, brokers
    finally:
        await producer.stop()


async def post(running: Running) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as session, session.post(running.url + "/v1/events", json=EVENT) as answer:
        await answer.read()
        return answer


async def get(running: Running, path: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(running.url + path) as answer:
        return answer.status, json.loads(await answer.text())


async def test_while_the_brokers_are_away_the_answer_is_200_and_health_says_so(tmp_path: Path) -> None:
    async with spooling_collector(tmp_path, 2**20) as (running, brokers):
        assert (await get(running, "/health"))[1] == {
            "status": "ok",
            "spool": {"records": 0, "bytes": 0, "oldest_age_seconds": 0},
        }
        brokers.away = True
        assert (await post(running)).status == 200
        assert [event["event_id"] for event, _ in running.seen] == ["e1"]
        status, health = await get(running, "/health")
        assert (status, health["status"], health["spool"]["records"]) == (200, "spooling", 1)
        assert health["spool"]["oldest_age_seconds"] == 5
        assert await get(running, "/readyz") == (200, {"status": "spooling"})
        brokers.away = False
        await eventually(lambda: len(brokers.events) == 1)
        assert brokers.events[0]["received_at"] == NOW


async def test_a_full_spool_is_a_503_that_says_when_to_come_again(tmp_path: Path) -> None:
    async with spooling_collector(tmp_path, 300) as (running, brokers):
        brokers.away = True
        answer = await post(running)
        while answer.status == 200:
            answer = await post(running)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert "the spool is full" in (await answer.text())
        brokers.away = False
        await eventually(lambda: len(brokers.events) == len(running.seen))
        assert (await post(running)).status == 200
