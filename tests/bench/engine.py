"""What the engine itself costs: the toy fold on a real broker.

`python -m tests.bench.engine embedded|apache|HOST:PORT [--events N] [--rate N]`. Without a rate: throughput and CPU of a
worker that finds N events waiting, last commit included. With a rate: from produce to visible snapshot, and CPU.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.keys import partition_of
from streams.clock import SystemClock
from streams.embedded.broker import EmbeddedBroker
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from tests.kafka.apache import ApacheKafka
from tests.streams.engine.cluster import create_topics, engine_settings
from tests.streams.engine.doubles import CountingMetrics
from tests.streams.engine.toy import ToyState

PARTITIONS = 4
LEADS = 10_000
VALUE = b"x" * 170


def _work(settings: EngineSettings, events: int, report: Any) -> None:
    """In its own process: fold `events` records, or until SIGTERM; report when and at what CPU."""
    first: list[tuple[float, float]] = []

    class TimedState(ToyState):
        def fold(self, records: Any) -> Any:
            if not first:
                first.append((time.perf_counter(), time.process_time()))
            return super().fold(records)

    transitions, *snapshots = settings.output_topics
    worker = Worker(settings, lambda _: TimedState(transitions, *snapshots), SystemClock(), CountingMetrics())

    async def watch() -> None:
        while not worker.health()["ready"]:  # noqa: ASYNC110 - the worker has no event for it
            await asyncio.sleep(0.01)
        report.put("ready")
        while worker.partitions.events_total < events or not _all_committed(worker):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
        seconds, cpu = time.perf_counter() - first[0][0], time.process_time() - first[0][1]
        report.put({"events_per_second": events / seconds, "cpu_us_per_event": cpu / events * 1e6})
        worker.request_stop()

    raise SystemExit(worker.run(watch))


def _all_committed(worker: Worker) -> bool:
    return all(p.next_offset == p.committed_offset for p in worker.partitions)


async def produce(bootstrap_servers: str, topic: str, events: int, rate: float | None = None) -> None:
    """Values begin with the time of the send, in seconds since the machine started."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, linger_ms=0 if rate else 20, max_batch_size=200_000
    )
    await producer.start()
    started, sent = time.monotonic(), []
    keys = [b"1lead%d" % number for number in range(LEADS)]
    for number in range(events):
        if rate:
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        key = keys[number * 7919 % LEADS if not rate else number % LEADS]
        value = b"%.6f " % time.monotonic() + VALUE
        sent.append(await producer.send(topic, value, key=key, partition=partition_of(key, PARTITIONS)))
    await asyncio.gather(*sent)
    await producer.stop()


async def throughput(settings: EngineSettings, events: int) -> dict[str, float]:
    await produce(settings.bootstrap_servers, settings.events_topic, events)
    context = multiprocessing.get_context("spawn")
    report = context.Queue()
    process = context.Process(target=_work, args=(settings, events, report))
    process.start()
    await asyncio.to_thread(report.get)
    result: dict[str, float] = await asyncio.to_thread(report.get)
    await asyncio.to_thread(process.join)
    return result


async def latency(settings: EngineSettings, rate: float, seconds: float) -> dict[str, float]:
    """A snapshot holds the offset of the event that made it, so its delay is exact."""
    context = multiprocessing.get_context("spawn")
    report = context.Queue()
    process = context.Process(target=_work, args=(settings, 1 << 60, report))
    process.start()
    await asyncio.to_thread(report.get)
    snapshots = settings.output_topics[1]
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap_servers, fetch_max_wait_ms=5)
    consumer.assign([TopicPartition(snapshots, number) for number in range(PARTITIONS)])
    sent_at: dict[bytes, float] = {}
    delays: list[float] = []
    events = int(rate * seconds)
    await consumer.start()
    for number in range(PARTITIONS):
        consumer.seek(TopicPartition(snapshots, number), 0)
    before = _cpu(process.pid)
    started = time.monotonic()
    producing = asyncio.create_task(_produce_timed(settings, events, rate, sent_at))
    while len(delays) < events and time.monotonic() - started < seconds + 10:
        for records in (await consumer.getmany(timeout_ms=20)).values():
            now = time.monotonic()
            delays += [now - sent_at[record.key] for record in records]
    await producing
    cpu = (_cpu(process.pid) - before) / (time.monotonic() - started)
    await consumer.stop()
    process.terminate()
    await asyncio.to_thread(process.join)
    cuts = statistics.quantiles(delays, n=100)
    return {"p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3, "cpu_cores": cpu, "seen": len(delays), "of": events}


async def _produce_timed(settings: EngineSettings, events: int, rate: float, sent_at: dict[bytes, float]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers, linger_ms=0)
    await producer.start()
    started = time.monotonic()
    for number in range(events):
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        key = b"1lead%d" % number  # one event per lead: its snapshot is that event's
        sent_at[key] = time.monotonic()
        await producer.send(settings.events_topic, VALUE, key=key, partition=partition_of(key, PARTITIONS))
    await producer.stop()


def _cpu(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("broker")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--settings", type=json.loads, default={})
    given = parser.parse_args()
    async with AsyncExitStack() as stack:
        servers = given.broker
        if given.broker == "embedded":
            servers = (await stack.enter_async_context(EmbeddedBroker.start())).bootstrap_servers
        elif given.broker == "apache":
            servers = (await stack.enter_async_context(ApacheKafka.start())).bootstrap_servers
        settings = engine_settings(servers, "bench.", embedded=given.broker == "embedded", **given.settings)
        await create_topics(settings, PARTITIONS)
        if given.rate:
            result = await latency(settings, given.rate, given.seconds)
        else:
            result = await throughput(settings, given.events)
        print(json.dumps({name: round(value, 3) for name, value in result.items()}))


if __name__ == "__main__":
    asyncio.run(main())
