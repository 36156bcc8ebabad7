"""The contract of an `EventProducer`: the fake of the other tests and the real one on both brokers."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.producer.sender import Sender

from schemas.keys import partition_of
from sources import kafka_producer as kafka_producer_module
from sources.base import BrokerUnavailableError, EventProducer, OutgoingRecord
from sources.kafka_producer import KafkaEventProducer
from sources.spool.spool import Spool
from sources.spool.spooling_producer import SpoolingProducer
from streams.embedded.broker import EmbeddedBroker
from streams.embedded.process import free_port
from tests.brokers import Broker, require_apache
from tests.eventually import eventually
from tests.kafka.apache import ApacheKafka
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


async def test_a_broker_that_is_not_there_at_the_start_is_an_error_at_once() -> None:
    async with kafka_producer(f"127.0.0.1:{free_port()}", "events") as producer:
        assert not producer.ready()
        with pytest.raises(BrokerUnavailableError, match="has answered yet"):
            await producer.send([OutgoingRecord("events", b"1a", b"x")])


async def test_a_broker_that_hangs_at_the_start_is_used_when_it_answers() -> None:
    async with EmbeddedBroker.start() as broker:
        await create_topic(broker.bootstrap_servers, "events")
        broker.child.send(signal.SIGSTOP)
        try:
            async with kafka_producer(broker.bootstrap_servers, "events", deadline_seconds=0.5) as producer:
                with pytest.raises(BrokerUnavailableError):
                    await producer.send([OutgoingRecord("events", b"1a", b"x")])
                broker.child.send(signal.SIGCONT)
                await eventually(producer.ready)
                await producer.send([OutgoingRecord("events", b"1a", b"x")])
        finally:
            broker.child.send(signal.SIGCONT)
        assert len(await consume(broker.bootstrap_servers, "events")) == 1


async def test_a_broker_that_hangs_in_the_middle_is_an_error_within_the_deadline_and_then_used_again() -> None:
    async with EmbeddedBroker.start() as broker:
        await create_topic(broker.bootstrap_servers, "events")
        async with kafka_producer(broker.bootstrap_servers, "events", deadline_seconds=0.5) as producer:
            await eventually(producer.ready)
            await producer.send([OutgoingRecord("events", b"1a", b"before")])
            broker.child.send(signal.SIGSTOP)
            try:
                started = asyncio.get_running_loop().time()
                with pytest.raises(BrokerUnavailableError):
                    await producer.send([OutgoingRecord("events", b"1a", b"during")])
                assert asyncio.get_running_loop().time() - started < 3
                assert not producer.ready()
            finally:
                broker.child.send(signal.SIGCONT)

            await eventually(lambda: sent(producer, b"after"))
            assert producer.ready()
        values = [record.value for record in await consume(broker.bootstrap_servers, "events")]
        assert values[0] == b"before"
        assert b"after" in values


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_client_whose_tasks_have_failed_for_good_is_replaced(
    broker: Broker, prefix: str, hangs: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    end = asyncio.Event()

    async def fail(*_: object) -> None:
        if not hangs:
            raise MemoryError
        await end.wait()

    monkeypatch.setattr(kafka_producer_module, "RENEW_SECONDS", 0.5)
    monkeypatch.setattr(kafka_producer_module, "STOP_SECONDS", 0.5)
    topic = prefix + "events"
    await create_topic(broker.bootstrap_servers, topic)
    async with kafka_producer(broker.bootstrap_servers, topic, deadline_seconds=2.0) as producer:
        await eventually(producer.ready)
        await producer.send([OutgoingRecord(topic, b"1a", b"before")])
        with monkeypatch.context() as patch:
            patch.setattr(Sender, "_send_produce_req", fail)
            assert not await sent(producer, b"during", topic)
        assert not await sent(producer, b"its sender is gone", topic)
        await eventually(lambda: sent(producer, b"after", topic), 30)
        assert producer.ready()
        assert "connecting anew" in caplog.text
        end.set()
    values = [record.value for record in await consume(broker.bootstrap_servers, topic)]
    assert (values[0], values[-1]) == (b"before", b"after")


async def test_a_connect_that_fails_as_nobody_thought_of_is_tried_again(broker: Broker, prefix: str) -> None:
    topic = prefix + "events"
    await create_topic(broker.bootstrap_servers, topic)
    failures = [MemoryError()]

    async def find_partitions() -> dict[str, int]:
        if failures:
            raise failures.pop()
        return {topic: PARTITIONS}

    producer = KafkaEventProducer(broker.bootstrap_servers, find_partitions, now_ms=lambda: NOW)
    await producer.start()
    await eventually(producer.ready)
    assert not failures
    await producer.stop()


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_broker_that_is_killed_and_comes_back_is_used_again(caplog: pytest.LogCaptureFixture) -> None:
    require_apache()
    async with ApacheKafka.start() as kafka:
        await create_topic(kafka.bootstrap_servers, "events")
        kafka.kill()
        async with kafka_producer(kafka.bootstrap_servers, "events", deadline_seconds=1.0) as producer:
            with pytest.raises(BrokerUnavailableError):
                await producer.send([OutgoingRecord("events", b"1a", b"away at the start")])
            await kafka.boot()
            await eventually(lambda: sent(producer, b"one"), seconds=30)
            kafka.kill()
            with pytest.raises(BrokerUnavailableError):
                await producer.send([OutgoingRecord("events", b"1a", b"away in the middle")])
            await kafka.boot()
            await eventually(lambda: sent(producer, b"two"), seconds=30)
        values = [record.value for record in await consume(kafka.bootstrap_servers, "events")]
        assert {b"one", b"two"} <= set(values), "what was acknowledged is there"
    attempt = f"cannot connect to the brokers at {kafka.bootstrap_servers}, trying again: "
    assert [said for said in told_by(caplog) if said.startswith(attempt) and said != attempt]


async def test_a_trouble_is_told_once_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.kafka_producer.UNREADY_SECONDS", 0.3)
    async with EmbeddedBroker.start() as broker:
        await create_topic(broker.bootstrap_servers, "events")
        async with kafka_producer(broker.bootstrap_servers, "events", deadline_seconds=0.2) as producer:
            await eventually(lambda: sent(producer, b"before"))
            caplog.clear()
            broker.child.send(signal.SIGSTOP)
            try:
                for _ in range(3):
                    with pytest.raises(BrokerUnavailableError):
                        await producer.send([OutgoingRecord("events", b"1a", b"during")])
            finally:
                broker.child.send(signal.SIGCONT)

            async def is_over() -> bool:
                return await sent(producer, b"after") and len(told_by(caplog)) > 1

            await eventually(is_over)
    trouble, end = told_by(caplog)
    assert trouble.startswith(f"the brokers at {broker.bootstrap_servers} do not take all records: ")
    assert end == f"the brokers at {broker.bootstrap_servers} take records again"


def told_by(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "sources.kafka_producer"]


async def test_a_stop_ends_in_time_although_the_broker_hangs() -> None:
    async with EmbeddedBroker.start() as broker:
        await create_topic(broker.bootstrap_servers, "events")
        try:
            async with kafka_producer(broker.bootstrap_servers, "events", deadline_seconds=0.5) as producer:
                await eventually(producer.ready)
                await producer.send([OutgoingRecord("events", b"1a", b"before")])
                broker.child.send(signal.SIGSTOP)
                with pytest.raises(BrokerUnavailableError):
                    await producer.send([OutgoingRecord("events", b"1a", b"during")])
                started = asyncio.get_running_loop().time()
                await producer.stop()
                assert asyncio.get_running_loop().time() - started < 5
        finally:
            broker.child.send(signal.SIGCONT)


async def sent(producer: KafkaEventProducer, value: bytes, topic: str = "events") -> bool:
    try:
        await producer.send([OutgoingRecord(topic, b"1a", value)])
    except BrokerUnavailableError:
        return False
    return True
