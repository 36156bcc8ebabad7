"""What a worker costs while little happens: CPU at 100 events/s, of many leads, over fifteen seconds."""

import asyncio
import time

from aiokafka import AIOKafkaProducer

from schemas.keys import partition_of
from tests.bench.catch_up import serve
from tests.bench.setup import (
    PARTITIONS,
    child,
    cpu_seconds,
    kinds,
    make_topics,
    running_broker,
    settings_for,
    show,
)
from tests.bench.traffic import records

RATE, SECONDS, LEADS = 100, 15, 10_000


async def run() -> None:
    found = {}
    for kind in kinds():
        async with running_broker(kind) as servers:
            found[f"{kind} broker"] = f"{await _share(servers, kind) * 100:5.1f} % of a core"
    show(f"CPU of a worker at {RATE} events/s", found)


async def _share(servers: str, kind: str) -> float:
    topics = await make_topics(servers, "low.", played=False)
    async with child(serve, settings_for(servers, "low.", kind, played=False)) as worker:
        await worker.answer()
        await _send(servers, topics.events, RATE)  # one second to warm up
        before, started = cpu_seconds(worker.pid), time.monotonic()
        await _send(servers, topics.events, RATE * SECONDS)
        return (cpu_seconds(worker.pid) - before) / (time.monotonic() - started)


async def _send(servers: str, topic: str, count: int) -> None:
    """At the rate, each event of now."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=0)
    await producer.start()
    now_ms = time.time_ns() // 1_000_000
    log = records(count, LEADS, 0.0, seed=count, start_ms=now_ms)
    started = time.monotonic()
    for number, record in enumerate(log):
        await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))
        await producer.send(topic, record.value, key=record.key, partition=partition_of(record.key, PARTITIONS))
    await producer.stop()


if __name__ == "__main__":
    asyncio.run(run())
