"""Apache Kafka deletes old events and compacts rows and scores while workers fold, are killed, and recover from what is left."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from processors.fold_partition import PartitionFold
from schemas.codec import decode
from schemas.rows import Row
from streams.kafka.brokers import Brokers
from streams.kafka.groups import committed_of
from streams.kafka.log_reader import follow, log_end, log_start, read_log
from streams.kafka.provision import admin_client
from streams.kafka.topics import DAY_MS, Topics
from tests.brokers import Broker, require_apache
from tests.e2e.deployment import PARTITIONS, Deployment, deployment
from tests.eventually import eventually
from tests.kafka.apache import ApacheKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

# Retention looks for old segments twice a second, and begins with that at once; compaction does so already.
NODE = {"log.retention.check.interval.ms": "500", "log.initial.task.delay.ms": "500"}
SEGMENT = {"segment.ms": "1000"}
KEPT_MS = 15_000  # of events: more than a worker needs to come back, or they are deleted unread
LEADS, KILLS, ROUNDS_BETWEEN = 12, 2, 8


@dataclass
class CleanedSite:
    """A deployment on topics of tiny segments, and a copy of every record that ever stood in its events topic."""

    parts: Deployment
    log: dict[int, list[ConsumerRecord]] = field(default_factory=lambda: {number: [] for number in range(PARTITIONS)})
    rounds: int = 0

    @property
    def brokers(self) -> Brokers:
        return self.parts.broker.at

    @property
    def topics(self) -> Topics:
        return self.parts.topics

    def partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(PARTITIONS)]

    # --- what happens all the time ---

    async def copy_log(self) -> None:
        events = self.partitions(self.topics.events)
        async with aclosing(follow(self.brokers, events, start=dict.fromkeys(events, 0))) as records:
            async for record in records:
                self.log[record.partition].append(record)

    async def load(self, stop: asyncio.Event) -> None:
        """Rounds of one page for each lead, one after the other. Each page is one act, taken by the collector."""
        async with aiohttp.ClientSession() as session:
            while not stop.is_set():
                page = {"url": f"https://www.acme.example/blog/lineage-{self.rounds}", "duration_seconds": 90}
                batch = [
                    {
                        "type": "page",
                        "anonymousId": f"r{lead}",
                        "messageId": f"{lead}-{self.rounds}",
                        "properties": page,
                    }
                    for lead in range(LEADS)
                ]
                async with session.post(f"{self.parts.url}/v1/batch", json={"batch": batch}) as response:
                    assert response.status == 200
                self.rounds += 1
                await asyncio.sleep(0.1)  # a site, not a benchmark: segments have to grow old

    # --- what is done to it ---

    async def clean_at_once(self, *, rows: bool) -> None:
        """Tiny segments everywhere, events that are kept for seconds. `rows`: their compaction waits for nothing; a worker
        would not start on such a topic, so it is turned on while one runs.
        """
        tiny = {
            self.topics.events: SEGMENT | {"retention.ms": str(KEPT_MS)},
            self.topics.scores: SEGMENT | {"min.cleanable.dirty.ratio": "0.01"},
            self.topics.rows: SEGMENT
            | {"min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0" if rows else str(DAY_MS)},
        }
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, topic.name, {**topic.settings, **tiny[topic.name]})
            for topic in self.topics.table
            if topic.name in tiny
        ]
        async with admin_client(self.brokers) as admin:
            for response in await admin.alter_configs(resources):
                assert not [error for error, *_ in response.resources if error], response

    async def start_worker(self) -> None:
        await self.clean_at_once(rows=False)
        self.parts.start_worker()
        await self.parts.ready("worker")
        await self.clean_at_once(rows=True)

    # --- what is seen ---

    async def first_offsets(self) -> list[int]:
        return list((await log_start(self.brokers, self.partitions(self.topics.events))).values())

    async def left_of(self, topic: str) -> tuple[Counter[int], dict[int, int]]:
        """By partition: records that are there, and records that were ever written."""
        partitions = self.partitions(topic)
        there = Counter([record.partition async for record in read_log(self.brokers, partitions)])
        return there, {tp.partition: end for tp, end in (await log_end(self.brokers, partitions)).items()}

    async def is_compacted(self, topic: str) -> bool:
        """In every partition."""
        there, written = await self.left_of(topic)
        return all(there[number] < written[number] for number in range(PARTITIONS))

    async def is_cleaned(self) -> bool:
        """Every partition of the events has lost more than its epoch record, every one of rows and scores some records."""
        if not all(offset > 1 for offset in await self.first_offsets()):
            return False
        return await self.is_compacted(self.topics.rows) and await self.is_compacted(self.topics.scores)

    async def committed(self) -> dict[int, int]:
        async with admin_client(self.brokers) as admin:
            found = await committed_of(admin, self.topics.worker_group, self.partitions(self.topics.events))
        return {tp.partition: offset for tp, offset in found.items()}

    async def all_is_folded(self) -> bool:
        assert self.parts.children["worker"].exit_code is None, self.parts.log("worker")[-3000:]
        ends = await log_end(self.brokers, self.partitions(self.topics.events))
        return await self.committed() == {tp.partition: end for tp, end in ends.items()}


async def test_deleted_events_and_a_compacted_changelog_cost_nothing_while_workers_are_killed(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    require_apache()
    async with (
        ApacheKafka.start(NODE) as kafka,
        deployment(Broker("apache", kafka.bootstrap_servers), redis_url, prefix, tmp_path) as parts,
    ):
        site, stop = CleanedSite(parts), asyncio.Event()
        parts.start_collector()
        await asyncio.gather(site.start_worker(), parts.ready("collector"))
        async with asyncio.TaskGroup() as group:
            copying = group.create_task(site.copy_log())
            loading = group.create_task(site.load(stop))
            kills = 0
            while kills < KILLS or not await site.is_cleaned():
                so_far = site.rounds
                await eventually(lambda: site.rounds >= so_far + ROUNDS_BETWEEN, 30)  # noqa: B023 - awaited here
                parts.children["worker"].kill()
                kills += 1
                await site.start_worker()
            # Once more: nothing but the compacted changelog tells of the acts that were deleted.
            parts.children["worker"].kill()
            await site.start_worker()
            so_far = site.rounds
            await eventually(lambda: site.rounds >= so_far + ROUNDS_BETWEEN, 30)
            stop.set()
            await loading
            await eventually(site.all_is_folded, 30)
            await parts.children["worker"].stop(grace_seconds=20)
            assert parts.children["worker"].exit_code == 0, parts.log("worker")[-3000:]
            folded = await site.committed()
            await eventually(lambda: all(_end(site.log[number]) >= end for number, end in folded.items()))
            copying.cancel()

        assert await site.is_cleaned()
        for records in site.log.values():
            assert [record.offset for record in records] == list(range(len(records))), "the copy is whole"
        # Every lead has every act, once.
        counted = await _acts_by_lead(site)
        assert counted == dict.fromkeys((f"1r{lead}".encode() for lead in range(LEADS)), site.rounds)
        for number in range(PARTITIONS):
            await _is_one_quiet_fold(site, number, folded[number])


def _end(records: list[ConsumerRecord]) -> int:
    return int(records[-1].offset) + 1 if records else 0


async def _acts_by_lead(site: CleanedSite) -> dict[bytes, int]:
    """By the newest snapshot of each lead."""
    newest: dict[bytes, Any] = {}
    async for record in read_log(site.brokers, site.partitions(site.topics.scores)):
        kind, snapshot = decode(record.value or b"")
        if kind == "LeadSnapshot":
            before = newest.get(record.key)
            newest[record.key] = max((snapshot, before) if before else (snapshot,), key=_version)
    return {
        key: next(unit["count"] for unit in snapshot["units"] if unit["rule"] == "long-read")
        for key, snapshot in newest.items()
    }


def _version(snapshot: Any) -> tuple[int, int]:
    return snapshot["epoch"], snapshot["offset"]


async def _is_one_quiet_fold(site: CleanedSite, number: int, folded: int) -> None:
    """Rows and transitions of a partition are those of a fold of everything that was ever sent to it."""
    topics = site.topics
    replay = PartitionFold(topics.events, number, PARTITIONS)
    records = [record for record in site.log[number] if record.offset < folded]
    sent = list(chain.from_iterable(replay.fold([record]) for record in records))
    live = PartitionFold(topics.events, number, PARTITIONS)
    async for record in read_log(site.brokers, [TopicPartition(topics.rows, number)]):
        live.restore(record.key or b"", record.value)
    live.restored()
    assert live.next_offset == folded
    assert dict(_rows(live)) == dict(_rows(replay))
    told = {
        (record.key, record.value)
        async for record in read_log(site.brokers, [TopicPartition(topics.transitions, number)])
    }
    assert told == {(one.key, one.value) for one in sent if one.kind == "StageTransition"}
    letters = read_log(site.brokers, [TopicPartition(topics.dead_letters, number)])
    assert [record async for record in letters] == []


def _rows(fold: PartitionFold) -> Iterator[tuple[bytes, tuple[Any, Row]]]:
    for key in fold.rows.all_keys():
        opened = fold.rows.read(key)
        if opened is not None:
            yield key, (opened.version, opened.row)
