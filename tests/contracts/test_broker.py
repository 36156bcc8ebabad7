"""What leadstream expects of a Kafka broker; the same on the embedded one and on Apache Kafka."""

import asyncio
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from streams.kafka.log_reader import log_end, read_log
from tests.brokers import Broker
from tests.eventually import eventually
from tests.logs import make_topic, producer_of, send_batch

LOG_APPEND_TIME, CREATE_TIME = 1, 0
LONG_AGO_MS = 1_600_000_000_000


def session_ms_of(broker: Broker) -> int:
    """A join takes half the session on the embedded broker; Apache Kafka accepts no session below 6 s."""
    return 2000 if broker.kind == "embedded" else 6000


@asynccontextmanager
async def member(broker: Broker, group: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    session_ms = session_ms_of(broker)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=500,
        rebalance_timeout_ms=session_ms,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def values_of(consumer: AIOKafkaConsumer, count: int) -> list[bytes]:
    async with asyncio.timeout(30):
        return [(await consumer.getone()).value for _ in range(count)]


async def test_a_record_goes_where_the_producer_says(broker: Broker, prefix: str) -> None:
    tps = await make_topic(broker.at, f"{prefix}t", 3)
    async with producer_of(broker.at) as producer:
        metadata = await producer.send_and_wait(f"{prefix}t", b"v", key=b"k", partition=2, timestamp_ms=LONG_AGO_MS)
    assert (metadata.partition, metadata.offset) == (2, 0)
    [record] = [record async for record in read_log(broker.at, tps)]
    assert (record.partition, record.offset, record.key, record.value) == (2, 0, b"k", b"v")
    assert (record.timestamp, record.timestamp_type) == (LONG_AGO_MS, CREATE_TIME)


async def test_batches_get_contiguous_base_offsets(broker: Broker, prefix: str) -> None:
    [tp] = await make_topic(broker.at, f"{prefix}t")
    sizes = [5, 1, 3, 200, 2]
    async with producer_of(broker.at) as producer:
        bases = [await send_batch(producer, tp, [b"v"] * size) for size in sizes]
    assert bases == [sum(sizes[:index]) for index in range(len(sizes))]
    offsets = [record.offset async for record in read_log(broker.at, [tp])]
    assert offsets == list(range(sum(sizes)))


async def test_log_append_time_is_the_brokers(broker: Broker, prefix: str, request: pytest.FixtureRequest) -> None:
    if broker.kind == "embedded":
        request.applymarker(
            pytest.mark.xfail(raises=AssertionError, reason="the embedded broker stores the setting and ignores it")
        )
    tps = await make_topic(broker.at, f"{prefix}t", message_timestamp_type="LogAppendTime")
    async with producer_of(broker.at) as producer:
        await producer.send_and_wait(f"{prefix}t", b"v", partition=0, timestamp_ms=LONG_AGO_MS)
    [record] = [record async for record in read_log(broker.at, tps)]
    assert record.timestamp_type == LOG_APPEND_TIME
    assert record.timestamp > LONG_AGO_MS


async def test_a_record_above_the_limit_is_refused(broker: Broker, prefix: str, request: pytest.FixtureRequest) -> None:
    if broker.kind == "embedded":
        request.applymarker(
            pytest.mark.xfail(raises=pytest.fail.Exception, reason="the embedded broker takes records of any size")
        )
    await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at, max_request_size=8_000_000) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(f"{prefix}t", b"x" * 2_000_000, partition=0)


async def test_a_group_resumes_where_it_committed(broker: Broker, prefix: str) -> None:
    [tp] = await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at) as producer:
        await send_batch(producer, tp, [b"0", b"1", b"2", b"3"])
    async with member(broker, f"{prefix}g", tp.topic) as consumer:
        assert await values_of(consumer, 3) == [b"0", b"1", b"2"]
        await consumer.commit({tp: 2})
    async with member(broker, f"{prefix}g", tp.topic) as consumer:
        assert await consumer.committed(tp) == 2
        assert await values_of(consumer, 2) == [b"2", b"3"]


async def test_two_members_share_and_the_killed_one_is_replaced(broker: Broker, prefix: str) -> None:
    tps = await make_topic(broker.at, f"{prefix}t", 2)
    arguments = [broker.bootstrap_servers, f"{prefix}g", f"{prefix}t", str(session_ms_of(broker))]
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_MEMBER, *arguments)
    try:
        async with member(broker, f"{prefix}g", f"{prefix}t") as consumer:
            await eventually(lambda: len(consumer.assignment()) == 1, seconds=60)
            other.send_signal(signal.SIGKILL)
            await other.wait()
            await eventually(lambda: consumer.assignment() == set(tps), seconds=60)
            async with producer_of(broker.at) as producer:
                for tp in tps:
                    await producer.send_and_wait(tp.topic, str(tp.partition).encode(), partition=tp.partition)
            assert sorted(await values_of(consumer, 2)) == [b"0", b"1"]
    finally:
        if other.returncode is None:
            other.kill()
            await other.wait()


OTHER_MEMBER = textwrap.dedent("""
    import asyncio, sys
    from aiokafka import AIOKafkaConsumer

    async def main(servers, group, topic, session_ms):
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=servers, group_id=group, auto_offset_reset="earliest",
            session_timeout_ms=int(session_ms), heartbeat_interval_ms=500, rebalance_timeout_ms=int(session_ms),
        )
        await consumer.start()
        async for _ in consumer:
            pass

    asyncio.run(main(*sys.argv[1:]))
""")


async def test_the_log_end_is_right_after_batches_of_several_records(broker: Broker, prefix: str) -> None:
    one, two, empty = await make_topic(broker.at, f"{prefix}t", 3)
    assert set((await log_end(broker.at, [one, two, empty])).values()) == {0}
    async with producer_of(broker.at) as producer:
        await send_batch(producer, one, [b"v"] * 7)
        for size in (1, 5, 3):
            await send_batch(producer, two, [b"v"] * size)
    assert await log_end(broker.at, [one, two, empty]) == {one: 7, two: 9, empty: 0}


async def test_list_offsets_gives_the_log_end(broker: Broker, prefix: str, request: pytest.FixtureRequest) -> None:
    if broker.kind == "embedded":
        request.applymarker(
            pytest.mark.xfail(raises=AssertionError, reason="too small after a batch of several records: use log_end")
        )
    [tp] = await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at) as producer:
        await send_batch(producer, tp, [b"v"] * 7)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
    await consumer.start()
    try:
        assert await consumer.end_offsets([tp]) == {tp: 7}
    finally:
        await consumer.stop()


async def test_a_topic_that_a_client_asks_for_is_not_made(
    broker: Broker, prefix: str, request: pytest.FixtureRequest
) -> None:
    if broker.kind == "embedded":
        request.applymarker(
            pytest.mark.xfail(
                raises=AssertionError, reason="made with 4 partitions: check the topics before anything else"
            )
        )
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(f"{prefix}absent", 0)])
        await consumer.getmany(timeout_ms=100)
        assert f"{prefix}absent" not in await consumer.topics()
    finally:
        await consumer.stop()
