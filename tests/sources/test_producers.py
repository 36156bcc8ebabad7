"""The contract of an `EventProducer`: the fake of the other tests and the real one on both brokers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.keys import partition_of
from sources.base import BrokerUnavailableError, EventProducer, OutgoingRecord
from sources.kafka_producer import KafkaEventProducer
from sources.spool.spool import Spool
from sources.spool.spooling_producer import SpoolingProducer
from tests.brokers import Broker
from tests.eventually import eventually
from tests.sources.fakes import CountingMetrics, MemoryProducer

NOW = 1_772_442_000_000
PARTITIONS = 3


@dataclass(frozen=True, slots=True)
class Stored:
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Case:
    producer: EventProducer
    topic: str
    stored: Callable[[], Awaitable[list[Stored]]]


@asynccontextmanager
async def kafka_producer(servers: str, topic: str, deadline_seconds: float = 5.0) -> AsyncIterator[KafkaEventProducer]:
    async def find_partitions() -> dict[str, int]:
        return {topic: PARTITIONS}

    producer = KafkaEventProducer(servers, find_partitions, now_ms=lambda: NOW, deadline_seconds=deadline_seconds)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def create_topic(servers: str, topic: str, partitions: int = PARTITIONS) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    finally:
        await admin.close()


async def consume(servers: str, topic: str) -> list[ConsumerRecord]:
    """Every record of the topic, by partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        records: list[ConsumerRecord] = []
        while batch := await consumer.getmany(timeout_ms=500):
            records.extend(record for found in batch.values() for record in found)
        return records
    finally:
        await consumer.stop()


@pytest.fixture
async def memory_case() -> Case:
    producer = MemoryProducer()

    async def stored() -> list[Stored]:
        return [Stored(record.key, record.value, record.headers) for record in producer.records]

    return Case(producer, "events", stored)


@pytest.fixture
async def kafka_case(broker: Broker, prefix: str) -> AsyncIterator[Case]:
    topic = prefix + "events"
    await create_topic(broker.bootstrap_servers, topic)

    async def stored() -> list[Stored]:
        records = await consume(broker.bootstrap_servers, topic)
        return [Stored(record.key, record.value, tuple(record.headers)) for record in records]

    async with kafka_producer(broker.bootstrap_servers, topic) as producer:
        await eventually(producer.ready)
        yield Case(producer, topic, stored)


async def check_every_record_is_stored_once_with_its_headers(case: Case) -> None:
    headers = (("sent_at_ms", b"5"),)
    records = [OutgoingRecord(case.topic, f"1lead{n}".encode(), f"value {n}".encode(), headers) for n in range(50)]
    await asyncio.gather(case.producer.send(records[:20]), case.producer.send(records[20:]))
    expected = [Stored(record.key, record.value, headers) for record in records]
    assert sorted(await case.stored(), key=repr) == sorted(expected, key=repr)


async def check_one_key_keeps_its_order(case: Case) -> None:
    for number in range(10):
        await case.producer.send([OutgoingRecord(case.topic, b"1a", str(number).encode())])
    assert [record.value for record in await case.stored()] == [str(number).encode() for number in range(10)]


async def check_nothing_to_send_is_fine(case: Case) -> None:
    await case.producer.send([])
    assert await case.stored() == []


CHECKS = [
    check_every_record_is_stored_once_with_its_headers,
    check_one_key_keeps_its_order,
    check_nothing_to_send_is_fine,
]


@pytest.mark.parametrize("check", CHECKS)
async def test_the_fake_keeps_the_contract(check: Callable[[Case], Awaitable[None]], memory_case: Case) -> None:
    await check(memory_case)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("away", [False, True])
async def test_the_spooling_producer_keeps_the_contract(
    check: Callable[[Case], Awaitable[None]], memory_case: Case, tmp_path: Path, away: bool
) -> None:
    brokers = memory_case.producer
    assert isinstance(brokers, MemoryProducer)
    brokers.away = away
    producer = SpoolingProducer(brokers, Spool(tmp_path, 2**20, now_ms=lambda: NOW), CountingMetrics())
    await producer.start()

    async def stored() -> list[Stored]:
        brokers.away = False
        await eventually(lambda: producer.status().records == 0)
        return await memory_case.stored()

    await check(Case(producer, memory_case.topic, stored))
    await producer.stop()


@pytest.mark.parametrize("check", CHECKS)
async def test_the_kafka_producer_keeps_the_contract(
    check: Callable[[Case], Awaitable[None]], kafka_case: Case
) -> None:
    await check(kafka_case)


async def test_the_fake_refuses_while_its_broker_is_away_and_then_goes_on() -> None:
    producer = MemoryProducer()
    producer.away = True
    with pytest.raises(BrokerUnavailableError):
        await producer.send([OutgoingRecord("events", b"1a", b"x")])
    assert not producer.ready()
    producer.away = False
    await producer.send([OutgoingRecord("events", b"1a", b"x")])
    assert len(producer.records) == 1


async def test_partition_and_time_are_ours(broker: Broker, prefix: str) -> None:
    topic = prefix + "events"
    await create_topic(broker.bootstrap_servers, topic)
    async with kafka_producer(broker.bootstrap_servers, topic) as producer:
        await eventually(producer.ready)
        keys = [f"1lead{number}".encode() for number in range(30)]
        await producer.send([OutgoingRecord(topic, key, b"x") for key in keys])
    records = await consume(broker.bootstrap_servers, topic)
    assert {record.key: record.partition for record in records} == {key: partition_of(key, PARTITIONS) for key in keys}
    assert {record.timestamp for record in records} == {NOW}


async def test_the_greatest_dead_letter_fits(broker: Broker, prefix: str) -> None:
    topic = prefix + "events"
    await create_topic(broker.bootstrap_servers, topic)
    async with kafka_producer(broker.bootstrap_servers, topic) as producer:
        await eventually(producer.ready)
        await producer.send([OutgoingRecord(topic, b"1a", bytes(1_010_000))])
    assert [len(record.value) for record in await consume(broker.bootstrap_servers, topic)] == [1_010_000]


async def test_a_topic_with_fewer_partitions_than_configured_names_the_check(broker: Broker, prefix: str) -> None:
    topic = prefix + "events"
    await create_topic(broker.bootstrap_servers, topic, partitions=1)
    keys = [f"1lead{number}".encode() for number in range(10)]
    async with kafka_producer(broker.bootstrap_servers, topic) as producer:
        await eventually(producer.ready)
        with pytest.raises(BrokerUnavailableError, match="leadstream topics check"):
            await producer.send([OutgoingRecord(topic, key, b"x") for key in keys])


async def test_a_missing_topic_is_an_error_in_time(broker: Broker, prefix: str) -> None:
    if broker.kind == "embedded":
        pytest.skip("the embedded broker creates missing topics by itself; tested on Apache Kafka")
    async with kafka_producer(broker.bootstrap_servers, prefix + "none", deadline_seconds=1.0) as producer:
        await eventually(producer.ready)
        started = asyncio.get_running_loop().time()
        with pytest.raises(BrokerUnavailableError, match="leadstream topics ensure"):
            await producer.send([OutgoingRecord(prefix + "none", b"1a", b"x")])
        assert asyncio.get_running_loop().time() - started < 4
