"""What the benchmarks run on: a broker, topics with a log in them, a model in force, and child processes."""

import asyncio
import multiprocessing
import os
import platform
import queue
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from processors.models import load_shipped
from schemas.keys import partition_of
from streams.activation import plan_activation, write_activation
from streams.embedded.broker import EmbeddedBroker
from streams.kafka.brokers import Brokers
from streams.kafka.provision import ensure_topics
from streams.kafka.topics import Topic, Topics
from streams.settings.config import Kafka, Play, Settings
from tests.bench.traffic import START_MS, BenchRecord
from tests.kafka.apache import ApacheKafka, missing_tools

PARTITIONS = 4
_ANSWER_SECONDS = 60.0


def kinds() -> tuple[str, ...]:
    """The brokers to measure on; says so loudly where Apache Kafka cannot run."""
    missing = missing_tools()
    if missing:
        print(f"\nNOT MEASURED ON APACHE KAFKA: {' and '.join(missing)} not found on the PATH")
        return ("embedded",)
    return ("apache", "embedded")


class PlayedTopics(Topics):
    """The product's topics, but for the time of an event: its producer's, so that a log of 30 days can be prefilled."""

    @property
    def table(self) -> tuple[Topic, ...]:
        return tuple(
            replace(topic, settings={**topic.settings, "message.timestamp.type": "CreateTime"})
            for topic in super().table
        )


@asynccontextmanager
async def running_broker(kind: str) -> AsyncIterator[str]:
    """The bootstrap servers of a fresh broker, `apache` or `embedded`."""
    starting: Any = ApacheKafka.start() if kind == "apache" else EmbeddedBroker.start()
    async with starting as broker:
        yield broker.bootstrap_servers


def settings_for(servers: str, prefix: str, kind: str, *, played: bool) -> Settings:
    """Of a worker. `played`: its clock stands still at the start of the traffic, so no tick comes between."""
    play = Play(START_MS, time.time_ns() // 1_000_000, 1e-12) if played else Play()
    kafka = Kafka(servers, partitions=PARTITIONS, embedded=kind == "embedded", topic_prefix=prefix)
    return Settings(kafka=kafka, play=play)


async def make_topics(servers: str, prefix: str, *, played: bool) -> Topics:
    """Topics of one deployment, with the reference model in force from the first record on."""
    topics = (PlayedTopics if played else Topics)(prefix, history_ms=-1)
    brokers = Brokers(servers)
    await ensure_topics(brokers, topics, partitions=PARTITIONS)
    now_ms = START_MS if played else time.time_ns() // 1_000_000
    await write_activation(
        brokers,
        topics,
        await plan_activation(brokers, topics, PARTITIONS, load_shipped("reference"), notify=False),
        lambda: now_ms,
    )
    return topics


async def append(
    servers: str, topic: str, records: Iterable[BenchRecord], partition: Callable[[bytes], int] | None = None
) -> None:
    """Write records as fast as the broker takes them, each with its own timestamp."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", max_batch_size=400_000)
    await producer.start()
    batches: dict[int, Any] = {}
    waiting = []
    try:
        for record in records:
            number = partition_of(record.key, PARTITIONS) if partition is None else partition(record.key)
            batch = batches.setdefault(number, producer.create_batch())
            if batch.append(timestamp=record.timestamp, key=record.key, value=record.value) is None:
                waiting.append(await producer.send_batch(batch, topic, partition=number))
                batch = batches[number] = producer.create_batch()
                batch.append(timestamp=record.timestamp, key=record.key, value=record.value)
        for number, batch in batches.items():
            waiting.append(await producer.send_batch(batch, topic, partition=number))
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


@dataclass(frozen=True)
class Child:
    process: BaseProcess
    report: Any

    @property
    def pid(self) -> int | None:
        return self.process.pid

    async def answer(self) -> Any:
        """The next thing it reports.

        Raises:
            RuntimeError: it ended, or said nothing for a minute.
        """
        give_up_at = time.monotonic() + _ANSWER_SECONDS
        while time.monotonic() < give_up_at:
            try:
                return await asyncio.to_thread(self.report.get, timeout=1.0)
            except queue.Empty:
                if not self.process.is_alive():
                    break
        raise RuntimeError(f"{self.process.name} did not answer; exit code {self.process.exitcode}")


@asynccontextmanager
async def child(target: Callable[..., None], *arguments: Any) -> AsyncIterator[Child]:
    """A process that runs `target(*arguments, report)`, where `report` is a queue; it ends with the block."""
    context = multiprocessing.get_context("spawn")
    report = context.Queue()
    process = context.Process(target=target, args=(*arguments, report), daemon=True)
    process.start()
    try:
        yield Child(process, report)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join, 10)
        if process.is_alive():
            process.kill()


def cpu_seconds(pid: int | None) -> float:
    """CPU of a running process, all threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int | None) -> float:
    """Resident memory of a running process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def machine() -> str:
    """What the numbers were measured on."""
    model = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    version = platform.python_version()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, {model}, Python {version}, {time.strftime('%Y-%m-%d')}; load at the start {load}"


def show(title: str, rows: Mapping[str, str]) -> None:
    """A plain table of two columns."""
    print(f"\n{title}")
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        print(f"  {name:<{width}}  {value}", flush=True)
