"""From the request to the visible score: HTTP POST to the collector, snapshot on the scores topic, lead in Redis.

Collector, worker and the Redis sink are the product's own processes. 500 requests/s with an event each, every one of
another lead, so that each snapshot belongs to one request; then as many events in requests of five, as SDKs send them.
Clients and readers run in this process, on the same cores.
"""

import asyncio
import json
import re
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis

from schemas.keys import CONTROL_KEY
from sinks import redis_keys
from sinks.redis_scripts import connect
from streams.embedded.process import LOOPBACK, Child, free_port
from streams.embedded.store import EmbeddedStore
from streams.settings.config import Collector, topics_of
from streams.settings.config import Redis as RedisSettings
from streams.stack import Stack
from tests.bench.setup import PARTITIONS, cpu_seconds, kinds, make_topics, running_broker, settings_for, show

RATE, SECONDS, WARM_UP = 500, 8, 500
CONNECTIONS = 32
SIZES = (1, 5)  # events in a request
SAMPLE_EVERY = 25  # of the requests, whose leads are looked for in Redis
PREFIX = "latency."


@dataclass
class Seen:
    """Per request, by number: when it was sent; and the delays found, in ms."""

    sent_at: dict[int, float] = field(default_factory=dict)
    answers: dict[int, float] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    redis: dict[int, float] = field(default_factory=dict)

    def since(self, number: int) -> float:
        return (time.monotonic() - self.sent_at[number]) * 1000


async def run() -> None:
    for kind in kinds():
        async with _parts(kind) as (stack, children):
            await _play(stack, range(WARM_UP), 5)
            for turn, size in enumerate(SIZES):
                await _measure(kind, stack, children, turn, size)


async def _measure(kind: str, stack: Stack, children: dict[str, Child], turn: int, size: int) -> None:
    numbers = range(WARM_UP + turn * RATE * SECONDS, WARM_UP + (turn + 1) * RATE * SECONDS)
    before, started = {name: cpu_seconds(child.pid) for name, child in children.items()}, time.monotonic()
    seen = await _play(stack, numbers, size)
    seconds = time.monotonic() - started
    used = {name: (cpu_seconds(child.pid) - before[name]) / seconds for name, child in children.items()}
    show(
        f"Request to visible score at {RATE} events/s, {size} in a request, {kind} broker",
        {
            "answer 200 of the collector": quantiles(list(seen.answers.values())),
            "snapshot on the scores topic": quantiles(list(seen.scores.values())),
            f"lead in Redis (each {SAMPLE_EVERY}th)": quantiles(list(seen.redis.values())),
            "seen": f"{len(seen.scores):,} of {len(numbers):,}",
            "CPU": ", ".join(f"{name} {share * 100:.0f} %" for name, share in used.items()) + " of a core",
        },
    )


@asynccontextmanager
async def _parts(kind: str) -> AsyncIterator[tuple[Stack, dict[str, Child]]]:
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
        yield parts, {"collector": http, "worker": worker, "redis sink": sink}


async def _play(stack: Stack, numbers: range, size: int) -> Seen:
    seen, settings = Seen(), stack.settings
    topic = topics_of(settings).scores
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, fetch_max_wait_ms=5)
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    await consumer.start()
    await consumer.seek_to_end()
    redis: Redis = connect(settings.redis.url)
    try:
        reading = asyncio.create_task(_read_scores(consumer, seen, len(numbers)))
        sampling = await _post_all(stack, redis, seen, numbers, size)
        async with asyncio.timeout(20):
            await asyncio.gather(reading, *sampling)
    finally:
        await consumer.stop()
        await redis.aclose()
    return seen


async def _post_all(stack: Stack, redis: Redis, seen: Seen, numbers: range, size: int) -> list[asyncio.Task[None]]:
    """Send the requests at the rate, whatever the answers take; the tasks look for their leads in Redis."""
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await Connection.open(stack.settings.collector.port))
    started, sent, sampling = time.monotonic(), [], []
    for first in numbers[::size]:
        await asyncio.sleep(max(0.0, started + (first - numbers.start) / RATE - time.monotonic()))
        sent.append(asyncio.create_task(_post(idle, seen, range(first, first + size))))
        if first % SAMPLE_EVERY == 0:
            sampling.append(asyncio.create_task(_find_in_redis(redis, seen, first)))
    await asyncio.gather(*sent)
    while not idle.empty():
        idle.get_nowait().writer.close()
    return sampling


async def _post(idle: "asyncio.Queue[Connection]", seen: Seen, numbers: range) -> None:
    events = [
        {
            "type": "page_view",
            "event_id": f"e{number}",
            "anonymous_id": f"visitor-{number}",
            "url": "https://www.acme.example/pricing",
        }
        for number in numbers
    ]
    seen.sent_at.update(dict.fromkeys(numbers, time.monotonic()))
    connection = await idle.get()
    await connection.post(json.dumps(events).encode())
    idle.put_nowait(connection)
    seen.answers[numbers.start] = seen.since(numbers.start)


@dataclass(frozen=True)
class Connection:
    """One kept-alive HTTP connection, as cheap as can be: a client library would use more of the cores than the parts."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(LOOPBACK, port))

    async def post(self, body: bytes) -> None:
        self.writer.write(b"POST /v1/events HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n")
        self.writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        answer = await self.reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head!r} {answer!r}")


async def _read_scores(consumer: AIOKafkaConsumer, seen: Seen, count: int) -> None:
    while len(seen.scores) < count:
        for found in (await consumer.getmany(timeout_ms=20)).values():
            for key in [record.key for record in found if record.key != CONTROL_KEY]:
                number = int(key.rpartition(b"-")[2])
                if number in seen.sent_at:  # else of the warm-up
                    seen.scores.setdefault(number, seen.since(number))


async def _find_in_redis(redis: Redis, seen: Seen, number: int) -> None:
    while number not in seen.sent_at or not await redis.exists(redis_keys.lead(f"1visitor-{number}")):  # noqa: ASYNC110 - Redis sends no asyncio event
        await asyncio.sleep(0.005)  # Redis tells nobody of a write
    seen.redis[number] = seen.since(number)


def quantiles(delays: Sequence[float]) -> str:
    cuts = statistics.quantiles(delays, n=100)
    return f"p50 {cuts[49]:7.1f} ms, p99 {cuts[98]:7.1f} ms"


if __name__ == "__main__":
    asyncio.run(run())
