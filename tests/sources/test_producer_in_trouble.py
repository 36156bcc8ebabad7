"""The Kafka producer while brokers, or its own client, are in trouble."""

import asyncio
import signal

import pytest
from aiokafka.producer.sender import Sender

from sources import kafka_producer as kafka_producer_module
from sources.base import BrokerUnavailableError, OutgoingRecord
from sources.kafka_producer import KafkaEventProducer
from streams.embedded.broker import EmbeddedBroker
from streams.embedded.process import free_port
from tests.brokers import Broker, require_apache
from tests.eventually import eventually
from tests.kafka.apache import ApacheKafka
from tests.sources.test_producers import NOW, PARTITIONS, consume, create_topic, kafka_producer


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
