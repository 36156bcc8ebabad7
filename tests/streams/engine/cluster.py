"""Toy workers on a real broker: topics, load, worker processes, and the check that nothing was lost or counted twice."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from schemas.keys import CONTROL_KEY, partition_of
from streams.engine.settings import EngineSettings
from tests.streams.engine.toy import EVERY, OFFSET, PART, ROW

ROOT = Path(__file__).parents[3]


def engine_settings(bootstrap_servers: str, prefix: str, *, embedded: bool, **given: Any) -> EngineSettings:
    return EngineSettings(
        bootstrap_servers=bootstrap_servers,
        events_topic=f"{prefix}events",
        changelog_topic=f"{prefix}rows",
        output_topics=(f"{prefix}transitions", f"{prefix}scores"),
        group=f"{prefix}group",
        idempotence=not embedded,
        **{
            "session_timeout_seconds": 6.0,
            "heartbeat_interval_seconds": 1.0,
            "rebalance_timeout_seconds": 6.0,
            "send_deadline_seconds": 15.0,
            "stall_seconds": 30.0,
            "fetch_wait_ms": 25 if embedded else 100,
            **given,
        },
    )


async def create_topics(settings: EngineSettings, partitions: int, *, replication: int = 1) -> None:
    """With three copies two must have a record, as `leadstream topics ensure` has it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    durable = {"min.insync.replicas": "2"} if replication > 2 else {}
    compact = {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000", **durable}
    topics = [NewTopic(settings.changelog_topic, partitions, replication, topic_configs=compact)]
    topics += [
        NewTopic(name, partitions, replication, topic_configs=durable)
        for name in (settings.events_topic, *settings.output_topics)
    ]
    try:
        await admin.create_topics(topics)
    finally:
        await admin.close()


class ToyWorker:
    """A worker process and what it said."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @classmethod
    async def start(
        cls, settings: EngineSettings, log: Path, *, module: str = "tests.streams.engine.toy_worker", **toy: Any
    ) -> "ToyWorker":
        given = {name: value for name, value in asdict(settings).items() if name != "security"}
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, json.dumps({**given, "toy": toy}),
                cwd=ROOT, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        return cls(process, log)

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    async def wait(self, seconds: float = 40.0) -> int:
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def kill(self) -> None:
        if self.running:
            self.process.kill()
        await self.process.wait()


@dataclass
class Load:
    """Events sent at a steady rate; `sent` counts the confirmed ones per key. `patience_seconds`: for the broker's answer."""

    settings: EngineSettings
    partitions: int
    leads: int = 500
    patience_seconds: float = 40.0
    sent: Counter[bytes] = field(default_factory=Counter)

    async def send(self, events: int, rate: float | None = None) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.bootstrap_servers,
            linger_ms=5,
            request_timeout_ms=int(self.patience_seconds * 1000),
        )
        await producer.start()
        loop = asyncio.get_running_loop()
        started = loop.time()
        sending = []
        try:
            for number in range(events):
                if rate is not None and number % 50 == 0:
                    await asyncio.sleep(max(0.0, started + number / rate - loop.time()))
                key = b"1lead%d" % (number * 7919 % self.leads)
                partition = partition_of(key, self.partitions)
                sending.append(
                    (key, await producer.send(self.settings.events_topic, b"{}", key=key, partition=partition))
                )
            for key, answer in sending:
                await answer
                self.sent[key] += 1
        finally:
            await producer.stop()


@dataclass
class Outcome:
    """What the topics hold in the end."""

    events: dict[int, list[Any]]
    rows: dict[bytes, tuple[int, int]]
    parts: dict[int, int]
    transitions: list[tuple[bytes, bytes]]

    def expected_transitions(self) -> set[bytes]:
        """From the log alone."""
        expected: set[bytes] = set()
        for records in self.events.values():
            counts: Counter[bytes] = Counter()
            for record in records:
                if record.key != CONTROL_KEY:
                    counts[record.key] += 1
                    if counts[record.key] % EVERY == 0:
                        expected.add(b"%s:%d:%d" % (record.key, record.offset, counts[record.key]))
        return expected

    def check(self, sent: Counter[bytes]) -> None:
        """Counts exact; the set of transitions exact, repeats only with the same bytes under the same id."""
        log = Counter(record.key for records in self.events.values() for record in records if record.key != CONTROL_KEY)
        assert sent - log == Counter(), "confirmed events are missing in the log"
        assert {key: count for key, (count, _) in self.rows.items()} == dict(log)
        assert {value for _, value in self.transitions} == self.expected_transitions()
        by_id: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for key, value in self.transitions:
            by_id[b":".join(value.split(b":")[:2])].add(key + value)
        assert all(len(forms) == 1 for forms in by_id.values()), "the same id with other bytes"


async def read_topic(bootstrap_servers: str, topic: str, partitions: int) -> dict[int, list[Any]]:
    """Every record up to the high-watermark of a fetch."""
    tps = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False, fetch_max_wait_ms=50)
    consumer.assign(tps)
    await consumer.start()
    try:
        await consumer.seek_to_beginning(*tps)
        found: dict[int, list[Any]] = {number: [] for number in range(partitions)}
        async with asyncio.timeout(60):
            while True:
                for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                    found[tp.partition] += records
                ends = [(await consumer.position(tp), consumer.highwater(tp)) for tp in tps]
                if all(highwater is not None and position >= highwater for position, highwater in ends):
                    return found
    finally:
        await consumer.stop()


async def read_outcome(settings: EngineSettings, partitions: int) -> Outcome:
    servers = settings.bootstrap_servers
    events = await read_topic(servers, settings.events_topic, partitions)
    rows: dict[bytes, tuple[int, int]] = {}
    parts: dict[int, int] = {}
    for number, records in (await read_topic(servers, settings.changelog_topic, partitions)).items():
        for record in records:
            if record.key == PART:
                parts[number] = max(parts.get(number, 0), *OFFSET.unpack(record.value))
            else:
                row = ROW.unpack(record.value)
                rows[record.key] = max(rows.get(record.key, row), row, key=lambda each: each[1])
    transitions = await read_topic(servers, settings.output_topics[0], partitions)
    sent = [(record.key, record.value) for records in transitions.values() for record in records]
    return Outcome(events, rows, parts, sent)


async def committed_offsets(settings: EngineSettings, partitions: int) -> dict[int, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        tps = [TopicPartition(settings.events_topic, number) for number in range(partitions)]
        offsets = await admin.list_consumer_group_offsets(settings.group, partitions=tps)
        return {tp.partition: offsets[tp].offset for tp in tps}
    finally:
        await admin.close()


async def wait_until_folded(
    settings: EngineSettings, partitions: int, seconds: float, workers: Sequence[ToyWorker] = ()
) -> None:
    """Until the commit of each partition is the end of its log; fails early when a worker ended."""
    logs = await read_topic(settings.bootstrap_servers, settings.events_topic, partitions)
    ends = {number: records[-1].offset + 1 if records else 0 for number, records in logs.items()}
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            committed = await committed_offsets(settings, partitions)
        except KafkaError:  # a coordinator that is just starting
            committed = dict.fromkeys(ends, -1)
        if all(committed[number] >= end or end == 0 for number, end in ends.items()):
            return
        for worker in workers:
            assert worker.running, f"the worker ended with {worker.process.returncode}:\n{worker.log()[-4000:]}"
        if asyncio.get_running_loop().time() > deadline:
            logs_of = "\n".join(worker.log()[-4000:] for worker in workers)
            raise TimeoutError(f"committed {committed} of {ends} after {seconds:g} s\n{logs_of}")
        await asyncio.sleep(0.2)
