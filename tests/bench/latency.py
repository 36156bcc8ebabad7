"""From the request to the visible score: HTTP POST to the collector, snapshot on the scores topic, lead in Redis.

Collector, worker and the Redis sink are the product's own processes. 500 requests/s with an event each, every one of another lead,
so that each snapshot belongs to one request. Clients and readers run in this process, on the same cores.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis

from sinks import redis_keys
from sinks.redis_scripts import connect
from streams.config import Collector, topics_of
from streams.config import Redis as RedisSettings
from streams.embedded.process import free_port
from streams.embedded.store import EmbeddedStore
from streams.stack import Stack
from tests.bench.setup import KINDS, PARTITIONS, make_topics, running_broker, settings_for, show

RATE, SECONDS, WARM_UP = 500, 10, 500
SAMPLE_EVERY = 25  # of the requests, whose leads are looked for in Redis
PREFIX = "latency."


@dataclass
class Seen:
    """Per request, by number: when it was sent; and the delays found, in ms."""

    sent_at: dict[int, float] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)
    redis: list[float] = field(default_factory=list)

    def since(self, number: int) -> float:
        return (time.monotonic() - self.sent_at[number]) * 1000


async def run() -> None:
    for kind in KINDS:
        async with _parts(kind) as stack:
            await _play(stack, 0, WARM_UP)
            seen = await _play(stack, WARM_UP, RATE * SECONDS)
        show(
            f"Request to visible score at {RATE} requests/s, {kind} broker",
            {
                "answer 200 of the collector": _quantiles(seen.answers),
                "snapshot on the scores topic": _quantiles(list(seen.scores.values())),
                "lead in Redis (each 25th)": _quantiles(seen.redis),
                "seen": f"{len(seen.scores):,} of {RATE * SECONDS:,}",
            },
        )


@asynccontextmanager
async def _parts(kind: str) -> AsyncIterator[Stack]:
    """Broker, store, collector, worker and the Redis sink, ready."""
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(running_broker(kind))
        store = await stack.enter_async_context(EmbeddedStore.start())
        await make_topics(servers, PREFIX, played=False)
        collector = Collector(port=free_port(), key_secret=token_hex(16))
        settings = settings_for(servers, PREFIX, kind, played=False)
        settings = replace(settings, redis=RedisSettings(store.url), collector=collector)
        logs = Path(stack.enter_context(TemporaryDirectory(prefix="leadstream-bench-")))
        parts = Stack(settings, logs)
        more = {
            "LEADSTREAM_KAFKA_EMBEDDED": "true" if kind == "embedded" else "false",
            "LEADSTREAM_KAFKA_TOPIC_PREFIX": PREFIX,
        }
        sink = parts.start("redis", "sink", "redis", status_variable="LEADSTREAM_SINKS_STATUS_PORT", **more)
        stack.push_async_callback(sink.stop)
        http = parts.start("collector", "collector", **more)
        stack.push_async_callback(http.stop)
        worker = parts.start("worker", "worker", status_variable="LEADSTREAM_WORKER_STATUS_PORT", **more)
        stack.push_async_callback(worker.stop, 10.0)
        await parts.until_ready("collector", http, collector.port)
        await parts.until_ready("redis", sink)
        await parts.until_ready("worker", worker)
        yield parts


async def _play(stack: Stack, first: int, count: int) -> Seen:
    seen, settings = Seen(), stack.settings
    topic = topics_of(settings).scores
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, fetch_max_wait_ms=5)
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    await consumer.start()
    await consumer.seek_to_end()
    redis: Redis = connect(settings.redis.url)
    try:
        reading = asyncio.create_task(_read_scores(consumer, seen, count))
        sampling = await _post_all(stack.url, redis, seen, first, count)
        async with asyncio.timeout(20):
            await asyncio.gather(reading, *sampling)
    finally:
        await consumer.stop()
        await redis.aclose()
    return seen


async def _post_all(url: str, redis: Redis, seen: Seen, first: int, count: int) -> list[asyncio.Task[None]]:
    """Send the requests at the rate, whatever the answers take; the tasks look for their leads in Redis."""
    started, sent, sampling = time.monotonic(), [], []
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=64)) as session:
        for number in range(first, first + count):
            await asyncio.sleep(max(0.0, started + (number - first) / RATE - time.monotonic()))
            sent.append(asyncio.create_task(_post(session, seen, number)))
            if number % SAMPLE_EVERY == 0:
                sampling.append(asyncio.create_task(_find_in_redis(redis, seen, number)))
        await asyncio.gather(*sent)
    return sampling


async def _post(session: aiohttp.ClientSession, seen: Seen, number: int) -> None:
    event = {
        "type": "page_view",
        "event_id": f"e{number}",
        "anonymous_id": f"visitor-{number}",
        "url": "https://www.acme.example/pricing",
    }
    seen.sent_at[number] = time.monotonic()
    async with session.post("/v1/events", json=event) as response:
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {await response.text()}")
    seen.answers.append(seen.since(number))


async def _read_scores(consumer: AIOKafkaConsumer, seen: Seen, count: int) -> None:
    while len(seen.scores) < count:
        for found in (await consumer.getmany(timeout_ms=20)).values():
            for number in [int(record.key.rpartition(b"-")[2]) for record in found]:
                if number in seen.sent_at:  # else of the warm-up
                    seen.scores.setdefault(number, seen.since(number))


async def _find_in_redis(redis: Redis, seen: Seen, number: int) -> None:
    while number not in seen.sent_at or not await redis.exists(redis_keys.lead(f"1visitor-{number}")):  # noqa: ASYNC110
        await asyncio.sleep(0.005)  # Redis tells nobody of a write
    seen.redis.append(seen.since(number))


def _quantiles(delays: Sequence[float]) -> str:
    cuts = statistics.quantiles(delays, n=100)
    return f"p50 {cuts[49]:7.1f} ms, p99 {cuts[98]:7.1f} ms"


if __name__ == "__main__":
    asyncio.run(run())
