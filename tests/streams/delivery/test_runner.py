"""A sink on a real broker: the embedded one and Apache Kafka."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.codec import decode, encode
from sinks.base import RetryLater, StartOver
from streams.delivery.delivery import SinkStatus
from streams.delivery.runner import SinkRun, run_sink
from tests.brokers import Broker
from tests.eventually import eventually
from tests.sinks.memory import CountedMetrics, MemorySink
from tests.sinks.records import MARCH_2, transition
from tests.streams.delivery.fresh_run import fresh_run


@pytest.fixture
async def run(broker: Broker, prefix: str) -> SinkRun:
    return await fresh_run("memory", broker, prefix, partitions=2)


async def send(run: SinkRun, values: list[bytes | None], partition: int = 0) -> None:
    producer = AIOKafkaProducer(**run.kafka)
    await producer.start()
    for value in values:
        headers = [("traceparent", b"00-abc")]
        await producer.send_and_wait(run.topics.transitions, value, key=b"1lead", partition=partition, headers=headers)
    await producer.stop()


def moves(*offsets: int) -> list[bytes | None]:
    return [encode("StageTransition", transition(offset=offset)) for offset in offsets]


@asynccontextmanager
async def running(
    run: SinkRun, sink: MemorySink, status: SinkStatus | None = None, *, from_beginning: bool = False
) -> AsyncIterator["asyncio.Task[None]"]:
    stop = asyncio.Event()
    parts = {"metrics": CountedMetrics(), "now_ms": lambda: MARCH_2, "stop": stop, "status": status}
    task = asyncio.create_task(run_sink(run, sink, **parts, from_beginning=from_beginning))  # type: ignore[arg-type]  # a mapping has one value type
    try:
        yield task
    finally:
        stop.set()
        await task


async def committed(run: SinkRun, partition: int = 0) -> int | None:
    consumer = AIOKafkaConsumer(**run.kafka, group_id=run.group, enable_auto_commit=False)
    await consumer.start()
    try:
        offset: int | None = await consumer.committed(TopicPartition(run.topics.transitions, partition))
        return offset
    finally:
        await consumer.stop()


async def dead_letters(run: SinkRun) -> list[dict[str, Any]]:
    consumer = AIOKafkaConsumer(run.topics.dead_letters, **run.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(10):
            return [decode((await consumer.getone()).value)[1]]
    finally:
        await consumer.stop()


async def test_a_sink_gets_every_record_and_goes_on_where_it_stopped(run: SinkRun) -> None:
    sink, status = MemorySink(), SinkStatus()
    await send(run, moves(1, 2))
    await send(run, moves(3), partition=1)
    async with running(run, sink, status):
        await eventually(lambda: len(sink.effects) == 4, 30)
        assert sorted(sink.effects) == ["delivered 0", "delivered 0", "delivered 1", "opened"]
        await eventually(lambda: status.problem() is None and status.lag_records == 0, 10)
    assert sink.closed
    assert (await committed(run, 0), await committed(run, 1)) == (2, 1)

    again = MemorySink()
    await send(run, moves(4))
    async with running(run, again):
        await eventually(lambda: again.effects == ["opened", "delivered 2"], 30)


async def test_garbage_becomes_a_confirmed_dead_letter_and_the_rest_is_delivered(run: SinkRun) -> None:
    sink = MemorySink()
    await send(run, [*moves(1), b"\x00garbage", *moves(2)])
    async with running(run, sink):
        await eventually(lambda: sink.effects == ["opened", "delivered 0", "delivered 2"], 30)
    letter = (await dead_letters(run))[0]
    assert (letter["reason"], letter["offset"], letter["value"]) == ("bad_avro", 1, b"\x00garbage")
    assert letter["step"] == "sink.memory"
    assert letter["context"] == {"header.traceparent": "00-abc"}


async def test_a_destination_that_is_away_loses_nothing_and_a_stop_does_not_wait_for_it(run: SinkRun) -> None:
    sink, status = MemorySink(), SinkStatus()
    sink.troubles = [RetryLater("away", 600.0)]
    await send(run, moves(1, 2))
    async with asyncio.timeout(40), running(run, sink, status):
        await eventually(lambda: status.trouble == "away", 30)
        assert sink.effects == ["opened"]
    assert await committed(run) is None

    back = MemorySink()
    async with running(run, back):
        await eventually(lambda: back.effects == ["opened", "delivered 0", "delivered 1"], 30)


async def test_a_destination_that_came_back_empty_is_told_everything_again(run: SinkRun) -> None:
    sink = MemorySink()
    await send(run, moves(1, 2))
    async with running(run, sink):
        await eventually(lambda: len(sink.effects) == 3, 30)
        sink.effects.clear()
        sink.troubles = [StartOver("empty")]
        await send(run, moves(3))
        await eventually(lambda: sink.effects == ["delivered 0", "delivered 1", "delivered 2"], 30)
    assert await committed(run) == 3


async def test_a_sink_that_starts_from_the_beginning_reads_all_again_once(run: SinkRun) -> None:
    first, second, third = MemorySink(), MemorySink(), MemorySink()
    await send(run, moves(1, 2))
    async with running(run, first):
        await eventually(lambda: len(first.effects) == 3, 30)
    async with running(run, second, from_beginning=True):
        await eventually(lambda: second.effects == ["opened", "delivered 0", "delivered 1"], 30)
    await send(run, moves(3))
    async with running(run, third):
        await eventually(lambda: third.effects == ["opened", "delivered 2"], 30)


async def test_a_bug_in_a_sink_ends_the_process_and_commits_nothing(run: SinkRun) -> None:
    sink = MemorySink()
    sink.troubles = [ZeroDivisionError()]  # type: ignore[list-item]  # what no sink may raise
    sink.troubles[0].done = 0
    await send(run, moves(1))
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(30):
            await run_sink(run, sink, metrics=CountedMetrics(), now_ms=lambda: MARCH_2, stop=asyncio.Event())
    assert sink.closed
    assert await committed(run) is None


async def test_a_second_process_takes_partitions_from_one_that_is_stuck(run: SinkRun) -> None:
    stuck, healthy, status = MemorySink(), MemorySink(), SinkStatus()
    stuck.troubles = [RetryLater("away", 600.0) for _ in range(20)]
    await send(run, moves(1))
    await send(run, moves(2), partition=1)
    async with running(run, stuck, status):
        await eventually(lambda: status.trouble == "away", 30)
        async with running(run, healthy):
            await eventually(lambda: "delivered 0" in healthy.effects, 60)
            assert stuck.effects == ["opened"]
