"""Reading Kafka partitions by offset, without a group: for verify, tail, the dead letters and the doctor."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from streams.kafka.brokers import Brokers
from streams.kafka.trouble import start_client

STALL_SECONDS = 30.0
_POLL_MS = 20
_FOLLOW_POLL_MS = 500
_FIRST_WINDOW = 64
_WINDOW_GROWTH = 8


class LogStalledError(ConnectionError):
    """The broker sends no more although the end of the log is not reached. The message names partition and offset."""


async def log_end(brokers: Brokers, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset that the next record of each partition gets.

    It is the high-watermark of a fetch. ListOffsets(latest), which `AIOKafkaConsumer.end_offsets` asks, is too small on
    the embedded broker when the last batch has several records.

    The topics must exist: the embedded broker creates a topic that a client asks for.

    Raises:
        LogStalledError: a partition did not answer.
    """
    if not partitions:
        return {}
    async with _consumer(brokers) as consumer:
        return await _ends(consumer, partitions)


async def log_start(brokers: Brokers, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset of the first record that retention has left; the log's end where there is none."""
    if not partitions:
        return {}
    async with _consumer(brokers) as consumer:
        return await _starts(consumer, partitions)


async def log_at(brokers: Brokers, partitions: Collection[TopicPartition], at: int) -> dict[TopicPartition, int]:
    """An offset before which no record is as new as `at` (ms UTC); the log's end where none is.

    Records from there on may be older, too: their times are in no order, and the embedded broker always says 0.
    """
    if not partitions:
        return {}
    async with _consumer(brokers) as consumer:
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, at))
        none = [tp for tp in partitions if found.get(tp) is None]
        ends = await _ends(consumer, none) if none else {}
        return {tp: ends[tp] if tp in ends else found[tp].offset for tp in partitions}


async def read_log(
    brokers: Brokers,
    partitions: Collection[TopicPartition],
    *,
    start: Mapping[TopicPartition, int] | None = None,
    stop: Mapping[TopicPartition, int] | None = None,
) -> AsyncGenerator[ConsumerRecord, None]:
    """The records with `start <= offset < stop`, in offset order within each partition.

    A partition without an entry begins at its first record, also if retention deletes some meanwhile, and ends where the
    log ended at the call. Offsets that compaction or a transaction left empty are passed over. Leave early only inside
    `contextlib.aclosing`.

    Raises:
        LogStalledError: the broker went away.
        aiokafka.errors.OffsetOutOfRangeError: retention has deleted a start offset.
    """
    given_start, given_stop = start or {}, stop or {}
    starts = await log_start(brokers, [tp for tp in partitions if tp not in given_start])
    ends = await log_end(brokers, [tp for tp in partitions if tp not in given_stop])
    begin, end = {**starts, **given_start}, {**ends, **given_stop}
    unread = {tp: begin[tp] for tp in partitions if begin[tp] < end[tp]}
    if not unread:
        return
    movable = frozenset(starts)
    async with _consumer(brokers) as consumer, aclosing(_records(consumer, unread, end, movable)) as records:
        async for record in records:
            yield record


async def follow(
    brokers: Brokers,
    partitions: Collection[TopicPartition],
    *,
    start: Mapping[TopicPartition, int] | None = None,
    ready: asyncio.Event | None = None,
) -> AsyncGenerator[ConsumerRecord, None]:
    """Records from `start` on, for ever; a partition without an entry begins at the log's end.

    `ready` is set when nothing that comes from now on will be missed. A broker that goes away is waited for. Leave it
    inside `contextlib.aclosing`.
    """
    given = start or {}
    begin = {**(await log_end(brokers, [tp for tp in partitions if tp not in given])), **given}
    async with _consumer(brokers, _FOLLOW_POLL_MS) as consumer:
        _seek(consumer, begin)
        if ready is not None:
            ready.set()
        while True:
            for fetched in (await consumer.getmany(timeout_ms=_FOLLOW_POLL_MS)).values():
                for record in fetched:
                    yield record


async def last_record(
    brokers: Brokers, partition: TopicPartition, wanted: Callable[[ConsumerRecord], bool]
) -> ConsumerRecord | None:
    """The newest record for which `wanted` holds, or None. Reads backwards from the end in growing windows.

    Raises:
        LogStalledError: the broker went away.
    """
    async with _consumer(brokers) as consumer:
        first = (await _starts(consumer, [partition]))[partition]
        stop = (await _ends(consumer, [partition]))[partition]
        window = _FIRST_WINDOW
        while stop > first:
            start = max(first, stop - window)
            found = None
            async for record in _records(consumer, {partition: start}, {partition: stop}):
                if wanted(record):
                    found = record
            if found is not None:
                return found
            stop, window = start, window * _WINDOW_GROWTH
        return None


@asynccontextmanager
async def _consumer(brokers: Brokers, fetch_wait_ms: int = _POLL_MS) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **brokers.client_arguments(),
        enable_auto_commit=False,
        auto_offset_reset="none",  # a start that is gone is an error, not a jump to the end
        fetch_max_wait_ms=fetch_wait_ms,
    )
    try:
        await start_client(consumer, brokers)
        yield consumer
    finally:
        await consumer.stop()


async def _starts(consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    starts: dict[TopicPartition, int] = await consumer.beginning_offsets(list(partitions))
    return starts


async def _ends(consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    # What ListOffsets says is at most the end: a fetch from there brings the high-watermark and few records.
    _seek(consumer, await consumer.end_offsets(list(partitions)))
    progress = _Progress(consumer)
    while unknown := [tp for tp in partitions if consumer.highwater(tp) is None]:
        await consumer.getmany(*unknown, timeout_ms=_POLL_MS)
        await progress.check(unknown)
    return {tp: consumer.highwater(tp) for tp in partitions}


async def _records(
    consumer: AIOKafkaConsumer,
    start: Mapping[TopicPartition, int],
    stop: Mapping[TopicPartition, int],
    movable: Collection[TopicPartition] = (),
) -> AsyncGenerator[ConsumerRecord, None]:
    """`start` is below `stop` for every partition in it. Those in `movable` go on at what retention has left."""
    _seek(consumer, start)
    open_ = set(start)
    progress = _Progress(consumer)
    while open_:
        try:
            batches = await consumer.getmany(*open_, timeout_ms=_POLL_MS)
        except OffsetOutOfRangeError as error:
            await _go_on_behind_deleted(consumer, error, movable)
            continue
        for tp, fetched in batches.items():
            for record in fetched:
                if record.offset < stop[tp]:
                    yield record
        # The position, not the last record, says how far it is: compacted offsets and transaction marks have no record.
        for tp in list(open_):
            if await consumer.position(tp) >= stop[tp]:
                open_.discard(tp)
                consumer.pause(tp)
        await progress.check(open_)


async def _go_on_behind_deleted(
    consumer: AIOKafkaConsumer, error: OffsetOutOfRangeError, movable: Collection[TopicPartition]
) -> None:
    """Raises `error` again unless retention explains it, and the partition may go on at its new beginning."""
    (wanted,) = error.args  # offset by partition
    starts = await _starts(consumer, list(wanted))
    if not all(tp in movable and offset < starts[tp] for tp, offset in wanted.items()):
        raise error
    for tp, start in starts.items():
        consumer.seek(tp, start)


def _seek(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Assign anew, which forgets positions, pauses and high-watermarks of before."""
    consumer.assign(list(offsets))
    for tp, offset in offsets.items():
        consumer.seek(tp, offset)


class _Progress:
    """Raises when nothing has moved for `STALL_SECONDS`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._now = asyncio.get_running_loop().time
        self._since = self._now()
        self._positions: dict[TopicPartition, int] = {}

    async def check(self, waiting: Collection[TopicPartition]) -> None:
        positions = {tp: await self._consumer.position(tp) for tp in waiting}
        if positions != self._positions:
            self._positions, self._since = positions, self._now()
        elif self._now() - self._since > STALL_SECONDS:
            where = ", ".join(f"{tp.topic}-{tp.partition} at offset {offset}" for tp, offset in positions.items())
            raise LogStalledError(f"the broker sent nothing for {STALL_SECONDS:g} s: {where}")
