"""What a rebalance costs: 200 events/s, workers that join, stop and are killed, and how long no score came meanwhile.

The workers are the product's own processes on Apache Kafka, with its time limits. Every event is of another lead, so its
snapshot on the scores topic is its answer. At the end `verify` folds the log again.
"""

import asyncio
import signal
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from processors.model import event_from_fields
from schemas.codec import encode
from schemas.keys import CONTROL_KEY, partition_of
from streams.embedded.process import Child
from streams.kafka.brokers import Brokers
from streams.kafka.topics import Topics
from streams.settings.config import topics_of
from streams.stack import Stack
from streams.verification.verify import verify
from tests.bench.setup import PARTITIONS, kinds, make_topics, running_broker, settings_for, show
from tests.eventually import eventually

RATE = 200
CALM_SECONDS, STEP_SECONDS, KILL_SECONDS = 10.0, 20.0, 50.0  # the session of a killed worker is 30 s
SETTLE_SECONDS = 2.0
PREFIX = "rebalance."


@dataclass
class Load:
    """Events on their way; times are monotonic seconds, by the number of the event."""

    servers: str
    topics: Topics
    sent_at: dict[int, float] = field(default_factory=dict)
    scored_at: dict[int, float] = field(default_factory=dict)
    ended: bool = False

    async def send(self) -> None:
        """At the rate, until it is `ended`."""
        producer = AIOKafkaProducer(bootstrap_servers=self.servers, acks="all")
        await producer.start()
        started = time.monotonic()
        try:
            while not self.ended:
                number = len(self.sent_at)
                await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))
                key = _key(number)
                self.sent_at[number] = time.monotonic()
                await producer.send(self.topics.events, _event(number), key=key, partition=_partition(number))
        finally:
            await producer.stop()

    async def read(self) -> None:
        """Note when the first score of each event is seen, until cancelled."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.servers, fetch_max_wait_ms=5, auto_offset_reset="earliest")
        consumer.assign([TopicPartition(self.topics.scores, number) for number in range(PARTITIONS)])
        await consumer.start()
        try:
            while True:
                for records in (await consumer.getmany(timeout_ms=20)).values():
                    for record in records:
                        if record.key != CONTROL_KEY:
                            self.scored_at.setdefault(int(record.key.rpartition(b"-")[2]), time.monotonic())
        finally:
            await consumer.stop()

    def all_scored(self) -> bool:
        return len(self.scored_at) == len(self.sent_at)

    def caught_up(self) -> bool:
        """What is on its way was sent in the last half second."""
        return len(self.sent_at) - len(self.scored_at) < RATE / 2

    def between(self, start: float, end: float) -> str:
        """Of the events sent in this time: the slowest score, and the longest silence of a partition."""
        numbers = [number for number, at in self.sent_at.items() if start <= at < end]
        delays = [self.scored_at[number] - self.sent_at[number] for number in numbers]
        silence = max(gap for partition in range(PARTITIONS) for gap in self._silences(partition, start, end))
        return (
            f"longest without a score in a partition {silence:5.2f} s; event to score: "
            f"slowest {max(delays):5.2f} s, p50 {statistics.median(delays):5.2f} s"
        )

    def _silences(self, partition: int, start: float, end: float) -> Iterator[float]:
        times = sorted(at for number, at in self.scored_at.items() if _partition(number) == partition)
        return (later - earlier for earlier, later in pairwise(times) if start <= later and earlier < end)


@dataclass
class Site:
    """The workers, the load, and what was measured so far."""

    parts: Stack
    load: Load
    results: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[str, float, float]] = field(default_factory=list)

    async def start(self, name: str, instance_id: str = "") -> Child:
        """A worker that has its partitions."""
        worker = self.parts.start(
            name,
            "worker",
            status_variable="LEADSTREAM_WORKER_STATUS_PORT",
            LEADSTREAM_KAFKA_TOPIC_PREFIX=PREFIX,
            LEADSTREAM_KAFKA_EMBEDDED="false",
            LEADSTREAM_WORKER_INSTANCE_ID=instance_id,
        )
        await self.parts.until_ready(name, worker)
        return worker

    async def step(self, name: str, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
        """What happens, and the time until the next step begins; this one begins when the one before is over."""
        await eventually(self.load.caught_up, 90)
        await asyncio.sleep(SETTLE_SECONDS)
        start = time.monotonic()
        await act()
        await asyncio.sleep(max(0.0, start + seconds - time.monotonic()))
        self.steps.append((name, start, time.monotonic()))


async def run() -> None:
    if kinds()[0] != "apache":
        return
    for title, play in (("members without an id", _without_ids), ("worker.instance_id set", _with_ids)):
        async with _site() as site:
            await play(site)
        show(f"Rebalances at {RATE} events/s in {PARTITIONS} partitions, {title}", site.results)


async def _without_ids(site: Site) -> None:
    """Two workers; a third joins; one is told to stop, one is killed."""
    first, second = await asyncio.gather(site.start("worker-1"), site.start("worker-2"))
    await site.step("two workers, nothing happens", CALM_SECONDS, _nothing)
    await site.step("a third one joins", STEP_SECONDS, lambda: site.start("worker-3"))
    await site.step("one gets SIGTERM", STEP_SECONDS, lambda: first.stop(grace_seconds=30))
    await site.step("one gets SIGKILL", KILL_SECONDS, lambda: _kill(second))


async def _with_ids(site: Site) -> None:
    """Two workers; each is started again as soon as it has ended, as its supervisor does."""
    first, second = await asyncio.gather(site.start("worker-1", "one"), site.start("worker-2", "two"))

    async def stopped_and_started() -> None:
        await first.stop(grace_seconds=30)
        await site.start("worker-1b", "one")

    async def killed_and_started() -> None:
        await _kill(second)
        await site.start("worker-2b", "two")

    await site.step("two workers, nothing happens", CALM_SECONDS, _nothing)
    await site.step("one gets SIGTERM, and is started again", STEP_SECONDS, stopped_and_started)
    await site.step("one gets SIGKILL, and is started again", STEP_SECONDS, killed_and_started)


async def _nothing() -> None: ...


async def _kill(worker: Child) -> None:
    worker.send(signal.SIGKILL)


@asynccontextmanager
async def _site() -> AsyncIterator[Site]:
    """Broker, topics and load; behind the block the steps are measured and the log is verified."""
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(running_broker("apache"))
        await make_topics(servers, PREFIX, played=False)
        settings = settings_for(servers, PREFIX, "apache", played=False)
        logs = Path(stack.enter_context(TemporaryDirectory(prefix="leadstream-bench-")))
        site = Site(Stack(settings, logs), Load(servers, topics_of(settings)))
        sending, reading = asyncio.create_task(site.load.send()), asyncio.create_task(site.load.read())
        try:
            yield site
            site.load.ended = True
            await sending
            await eventually(site.load.all_scored, 90)
            report = await verify(Brokers(servers), site.load.topics, PARTITIONS)
        finally:
            for task in (sending, reading):
                task.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)
            for worker in site.parts.parts.values():
                worker.kill()
        site.results |= {name: site.load.between(start, end) for name, start, end in site.steps}
        site.results["in the end"] = (
            f"{report.accepted:,} of {len(site.load.sent_at):,} events in the log, {report.scored:,} count, {report.lost} lost, "
            f"{report.counted_twice} counted twice, {len(report.differences)} differences"
        )


def _key(number: int) -> bytes:
    return b"1visitor-%d" % number


def _partition(number: int) -> int:
    return partition_of(_key(number), PARTITIONS)


def _event(number: int) -> bytes:
    fields: dict[str, object] = {"event": "page_view", "url": "https://www.acme.example/pricing", "seconds": 30}
    event = event_from_fields(fields, time.time_ns() // 1_000_000)
    event["event_id"] = f"e{number}"
    event["anonymous_id"] = f"visitor-{number}"
    return encode("TrackedEvent", event)
