import asyncio
from contextlib import aclosing

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import OffsetOutOfRangeError

from streams.kafka import log_reader
from streams.kafka.log_reader import LogStalledError, follow, last_record, log_at, log_end, log_start, read_log
from streams.kafka.provision import admin_client
from tests.brokers import Broker
from tests.eventually import eventually
from tests.logs import delete_after_look, make_topic, producer_of, send_batch


async def offsets(broker: Broker, tps: list[TopicPartition], **bounds: dict[TopicPartition, int]) -> list[int]:
    return [record.offset async for record in read_log(broker.at, tps, **bounds)]


async def test_a_log_is_read_to_its_end_and_no_further(broker: Broker, prefix: str) -> None:
    full, empty, other = await make_topic(broker.at, f"{prefix}t", 3)
    async with producer_of(broker.at) as producer:
        for size in (3, 700, 2):
            await send_batch(producer, full, [b"v"] * size)
        await send_batch(producer, other, [b"v"] * 4)
        seen: dict[TopicPartition, list[int]] = {full: [], other: [], empty: []}
        async for record in read_log(broker.at, [full, empty, other]):
            if not seen[full]:
                await producer.send_and_wait(full.topic, b"later", partition=full.partition)
            seen[TopicPartition(record.topic, record.partition)].append(record.offset)
    assert seen == {full: list(range(705)), other: list(range(4)), empty: []}


async def test_start_and_stop_may_lie_inside_batches(broker: Broker, prefix: str) -> None:
    [tp] = await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at) as producer:
        for size in (5, 5, 5):
            await send_batch(producer, tp, [b"v"] * size)
    assert await offsets(broker, [tp], start={tp: 3}, stop={tp: 12}) == list(range(3, 12))
    assert await offsets(broker, [tp], start={tp: 13}) == [13, 14]
    assert await offsets(broker, [tp], stop={tp: 2}) == [0, 1]
    assert await offsets(broker, [tp], start={tp: 15}) == []
    assert await offsets(broker, [tp], start={tp: 4}, stop={tp: 4}) == []


async def test_no_record_before_the_offset_of_a_time_is_as_new(broker: Broker, prefix: str) -> None:
    tp, empty = await make_topic(broker.at, f"{prefix}t", 2)
    async with producer_of(broker.at) as producer:
        for number in range(10):
            await producer.send_and_wait(
                tp.topic, b"v", partition=tp.partition, timestamp_ms=1_772_442_000_000 + number
            )
    for number in (0, 4, 9):
        found = await log_at(broker.at, [tp, empty], 1_772_442_000_000 + number)
        assert found[tp] == (number if broker.kind == "apache" else 0), "the embedded broker knows no times"
        assert found[empty] == 0
    if broker.kind == "apache":
        assert await log_at(broker.at, [tp], 1_772_442_000_010) == {tp: 10}
    assert await log_at(broker.at, [], 0) == {}


async def test_an_empty_log_has_no_records(broker: Broker, prefix: str) -> None:
    tps = await make_topic(broker.at, f"{prefix}t", 2)
    assert await offsets(broker, tps) == []
    assert await log_start(broker.at, tps) == dict.fromkeys(tps, 0)
    assert await log_end(broker.at, []) == {}


async def test_following_begins_at_the_end_and_goes_on(broker: Broker, prefix: str) -> None:
    [tp] = await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at) as producer:
        await send_batch(producer, tp, [b"old"] * 3)

        async def two() -> list[bytes]:
            values = []
            async with aclosing(follow(broker.at, [tp])) as records:
                async for record in records:
                    values.append(record.value)
                    if record.value == b"last":
                        break
            return values

        reading = asyncio.create_task(two())
        number = 0
        while not reading.done() and number < 1000:  # it begins at some moment after the task's start
            await producer.send_and_wait(tp.topic, b"new" if number < 20 else b"last", partition=0)
            number += 1
        async with asyncio.timeout(20):
            values = await reading
    assert b"old" not in values
    assert values[-1] == b"last"


async def test_following_from_an_offset_begins_there(broker: Broker, prefix: str) -> None:
    [tp] = await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at) as producer:
        await send_batch(producer, tp, [b"0", b"1", b"2"])
    async with aclosing(follow(broker.at, [tp], start={tp: 1})) as records, asyncio.timeout(20):
        assert (await anext(records)).value == b"1"
        assert (await anext(records)).value == b"2"


@pytest.mark.parametrize(("wanted", "found"), [(b"needle", 2), (b"999", 999), (b"0", 0), (b"absent", None)])
async def test_the_last_record_that_fits_is_found_backwards(
    broker: Broker, prefix: str, wanted: bytes, found: int | None
) -> None:
    [tp] = await make_topic(broker.at, f"{prefix}t")
    values = [str(number).encode() for number in range(1000)]
    values[1] = values[2] = b"needle"
    async with producer_of(broker.at) as producer:
        await send_batch(producer, tp, values[:10])
        await send_batch(producer, tp, values[10:])
    record: ConsumerRecord | None = await last_record(broker.at, tp, lambda record: record.value == wanted)
    assert (None if record is None else record.offset) == found


async def test_offsets_that_compaction_emptied_are_passed_over(broker: Broker, prefix: str) -> None:
    if broker.kind == "embedded":
        pytest.skip("the embedded broker does not compact")
    servers = broker.at
    settings = {"cleanup_policy": "compact", "segment_ms": "100", "min_cleanable_dirty_ratio": "0.01"}
    [tp] = await make_topic(servers, f"{prefix}t", 1, **settings)
    async with producer_of(servers) as producer:
        await send_batch(producer, tp, [b"v"] * 50)

        async def compacted() -> bool:
            await producer.send_and_wait(tp.topic, b"new", key=b"k", partition=0)  # rolls the segment when it is due
            return min(await offsets(broker, [tp])) > 50

        await eventually(compacted, seconds=60)
    end = (await log_end(servers, [tp]))[tp]
    kept = [record.offset async for record in read_log(servers, [tp], start={tp: 0})]
    assert kept[-1] == end - 1
    assert len(kept) < end
    assert await last_record(servers, tp, lambda record: bool(record.offset < 50)) is None


async def test_a_log_that_ends_in_a_transaction_mark_ends(broker: Broker, prefix: str) -> None:
    if broker.kind == "embedded":
        pytest.skip("the embedded broker has no transactions with aiokafka")
    [tp] = await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at, transactional_id=prefix) as producer, producer.transaction():
        await producer.send(tp.topic, b"v", partition=0)
    assert await log_end(broker.at, [tp]) == {tp: 2}
    async with asyncio.timeout(20):
        assert await offsets(broker, [tp]) == [0]


async def test_a_start_that_retention_has_deleted_is_an_error(broker: Broker, prefix: str) -> None:
    if broker.kind == "embedded":
        pytest.skip("the embedded broker deletes no records")
    [tp] = await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at) as producer:
        await send_batch(producer, tp, [b"v"] * 5)
    async with admin_client(broker.at) as admin:
        await admin.delete_records({tp: RecordsToDelete(before_offset=3)})
    assert await log_start(broker.at, [tp]) == {tp: 3}
    assert await offsets(broker, [tp]) == [3, 4]
    with pytest.raises(OffsetOutOfRangeError):
        await offsets(broker, [tp], start={tp: 0})


async def test_what_retention_deletes_while_it_is_read_is_passed_over(
    broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broker.kind == "embedded":
        pytest.skip("the embedded broker deletes no records")
    one, other = await make_topic(broker.at, f"{prefix}t", 2)
    async with producer_of(broker.at) as producer:
        for tp in (one, other):
            await send_batch(producer, tp, [b"v"] * 5)
    delete_after_look(monkeypatch, log_reader, {one: 3, other: 5})
    found = [(record.partition, record.offset) async for record in read_log(broker.at, [one, other])]
    assert found == [(0, 3), (0, 4)]


async def test_a_broker_that_sends_no_more_is_reported_with_partition_and_offset(
    broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "STALL_SECONDS", 0.5)
    [tp] = await make_topic(broker.at, f"{prefix}t")
    async with producer_of(broker.at) as producer:
        await send_batch(producer, tp, [b"v"] * 5)
    with pytest.raises(LogStalledError, match=f"sent nothing for 0.5 s: {prefix}t-0 at offset 5"):
        await offsets(broker, [tp], stop={tp: 6})
