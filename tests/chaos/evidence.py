"""What is left of a run, read when all is calm: topics, Redis, and what the outer world wrote down. `check.py` judges it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis

from tests.chaos.outer_world import Delivery
from tests.chaos.site import Site
from tests.e2e.deployment import PARTITIONS

_LEADS = "leadstream:lead:"  # begins the Redis keys of leads


@dataclass(frozen=True, slots=True)
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None

    @property
    def id(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass
class Evidence:
    """Records in the order of their topic, partition by partition. `in_redis`: lead key -> Avro bytes of its snapshot."""

    accepted: set[tuple[str, str]] = field(default_factory=set)  # (lead, event id) that a 2xx was given for
    events: list[Record] = field(default_factory=list)
    transitions: list[Record] = field(default_factory=list)
    scores: list[Record] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)
    in_redis: dict[str, bytes] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)


async def evidence_of(site: Site) -> Evidence:
    topics = site.parts.topics
    names = (topics.events, topics.transitions, topics.scores, topics.dead_letters)
    events, transitions, scores, letters = [await read_topic(site.kafka.bootstrap_servers, name) for name in names]
    return Evidence(
        set(site.accepted), events, transitions, scores, letters,
        in_redis=await _bodies(site.store.url), deliveries=list(site.world.deliveries),
    )  # fmt: skip


async def _bodies(url: str) -> dict[str, bytes]:
    redis: Any = Redis.from_url(url)
    try:
        keys = [key async for key in redis.scan_iter(match=f"{_LEADS}*", count=1000)]
        return {key.decode().removeprefix(_LEADS): await redis.hget(key, "body") for key in keys}
    finally:
        await redis.aclose()


async def read_topic(servers: str, topic: str) -> list[Record]:
    """The whole topic, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        tps = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(tps)
        await asyncio.sleep(0)  # aiokafka's `stop` fails if it comes before its task has begun
        ends = await consumer.end_offsets(tps)
        records: list[Record] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += [Record(each.topic, each.partition, each.offset, each.key, each.value) for each in batch]
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()
