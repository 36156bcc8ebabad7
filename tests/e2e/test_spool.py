"""The collector while its broker is away: what it has answered with 2xx is in Kafka in the end, in order."""

import asyncio
import json
import signal
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.codec import decode
from streams.embedded.broker import EmbeddedBroker
from tests.brokers import Broker, require_apache
from tests.e2e.deployment import PARTITIONS, Deployment, deployment
from tests.eventually import eventually
from tests.kafka.apache import ApacheKafka

LEADS = 10


@dataclass
class Visitors:
    """Each sends one request after the other, and notes what was answered with 200."""

    parts: Deployment
    kept: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    statuses: set[int] = field(default_factory=set)
    stopped: bool = False

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(self._visit(session, f"lead-{number}") for number in range(LEADS)))

    async def _visit(self, session: aiohttp.ClientSession, lead: str) -> None:
        number = 0
        while not self.stopped:
            event_id = f"{lead}/{number}"
            body = {"type": "page_view", "anonymous_id": lead, "event_id": event_id}
            with suppress(aiohttp.ClientError):
                async with session.post(f"{self.parts.url}/v1/events", json=body) as response:
                    self.statuses.add(response.status)
                    if response.status == 200:
                        self.kept[lead].append(event_id)
                        number += 1
            await asyncio.sleep(0.005)  # a visitor's pace

    @property
    def count(self) -> int:
        return sum(map(len, self.kept.values()))


async def seen_in_kafka(parts: Deployment) -> dict[str, list[str]]:
    """The event ids of each lead in the order in which they first came."""
    consumer = AIOKafkaConsumer(bootstrap_servers=parts.broker.bootstrap_servers)
    await consumer.start()
    seen: dict[str, list[str]] = defaultdict(list)
    try:
        partitions = [TopicPartition(parts.topics.events, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        while batch := await consumer.getmany(timeout_ms=500):
            for record in (record for records in batch.values() for record in records):
                kind, event = decode(record.value)
                if kind == "TrackedEvent" and event["event_id"] not in seen[event["anonymous_id"]]:
                    seen[event["anonymous_id"]].append(event["event_id"])
    finally:
        await consumer.stop()
    return seen


async def all_in_order(parts: Deployment, visitors: Visitors) -> None:
    seen = await seen_in_kafka(parts)
    for lead, kept in visitors.kept.items():
        assert set(kept) - set(seen[lead]) == set()
        assert [event_id for event_id in seen[lead] if event_id in set(kept)] == kept


async def health(parts: Deployment, path: str = "/health") -> tuple[int, dict[str, object]]:
    async with aiohttp.ClientSession() as session, session.get(parts.url + path) as response:
        return response.status, json.loads(await response.text())


async def is_drained(parts: Deployment) -> bool:
    return (await health(parts))[1]["status"] == "ok"


def start_collector(parts: Deployment, spool: Path) -> None:
    parts.start_collector(
        LEADSTREAM_COLLECTOR_SPOOL_DIR=str(spool), LEADSTREAM_COLLECTOR_EVENTS_PER_SECOND_PER_VISITOR="0"
    )


@pytest.mark.slow
async def test_kills_at_any_moment_while_the_broker_comes_and_goes_lose_no_answered_event(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    async with (
        EmbeddedBroker.start() as embedded,
        deployment(Broker("embedded", embedded.bootstrap_servers), redis_url, prefix, tmp_path) as parts,
    ):
        start_collector(parts, spool)
        await parts.ready("collector")
        visitors = Visitors(parts)
        running = asyncio.create_task(visitors.run())
        try:
            for wanted in (50, 150, 400):  # with the broker, then on the spool
                await eventually(lambda: visitors.count >= wanted, seconds=20)  # noqa: B023
                embedded.child.send(signal.SIGSTOP)
                count = visitors.count
                await eventually(lambda: visitors.count > count + 60, seconds=20)  # noqa: B023
                assert (await health(parts))[1]["status"] == "spooling"
                assert (await health(parts, "/readyz"))[0] == 200
                parts.children["collector"].kill()
                if wanted == 50:  # it comes up although the broker does not answer
                    start_collector(parts, spool)
                    await parts.ready("collector")
                    count = visitors.count
                    await eventually(lambda: visitors.count > count + 60, seconds=20)  # noqa: B023
                    parts.children["collector"].kill()  # the spool of two runs
                embedded.child.send(signal.SIGCONT)
                start_collector(parts, spool)
                if wanted == 150:  # in the middle of the drain, or just before it
                    await parts.ready("collector")
                    parts.children["collector"].kill()
                    start_collector(parts, spool)
                await parts.ready("collector")
                await eventually(lambda: is_drained(parts), seconds=20)
        finally:
            embedded.child.send(signal.SIGCONT)
            visitors.stopped = True
            await running
        await eventually(lambda: is_drained(parts), seconds=20)
        assert visitors.statuses == {200}
        await all_in_order(parts, visitors)


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_broker_that_is_killed_and_comes_back_gets_everything_that_was_answered(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    require_apache()
    async with (
        ApacheKafka.start() as kafka,
        deployment(Broker("apache", kafka.bootstrap_servers), redis_url, prefix, tmp_path) as parts,
    ):
        start_collector(parts, tmp_path / "spool")
        await parts.ready("collector")
        visitors = Visitors(parts)
        running = asyncio.create_task(visitors.run())
        try:
            await eventually(lambda: visitors.count > 100, seconds=20)
            kafka.kill()
            count = visitors.count
            await eventually(lambda: visitors.count > count + 200, seconds=20)
            assert (await health(parts))[1]["status"] == "spooling"
            await kafka.boot()
            await eventually(lambda: is_drained(parts), seconds=60)
        finally:
            visitors.stopped = True
            await running
        await eventually(lambda: is_drained(parts), seconds=20)
        assert visitors.statuses == {200}
        await all_in_order(parts, visitors)


async def test_a_spool_that_cannot_be_used_stops_the_start_and_says_why(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    async with (
        EmbeddedBroker.start() as embedded,
        deployment(Broker("embedded", embedded.bootstrap_servers), redis_url, prefix, tmp_path) as parts,
    ):
        start_collector(parts, tmp_path / "file" / "spool")
        await eventually(lambda: parts.children["collector"].exit_code is not None, seconds=30)
        assert parts.children["collector"].exit_code == 4
        told = parts.log("collector")
        assert "file/spool cannot be used: Not a directory" in told
        assert "LEADSTREAM_COLLECTOR_SPOOL_DIR" in told
        assert "Traceback" not in told
