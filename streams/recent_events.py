"""The newest events of the log, read once for a check: bounded in time and in number."""

from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import cast

from aiokafka import ConsumerRecord, TopicPartition

from schemas.codec import UndecodableError, decode
from schemas.records import TrackedEvent
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import log_at, log_end, read_log

MAX_RECORDS = 1_000_000  # about 20 s; ticks count, too
_TELL_EVERY = 1000


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """`events`: how many were read; `cut`: older ones in the wanted time may have been left out."""

    events: int
    cut: bool


async def read_recent_events(
    brokers: Brokers,
    partitions: Sequence[TopicPartition],
    since: int,
    *,
    see: Callable[[TrackedEvent, int], None],
    progress: Callable[[int], None] = lambda _: None,
    at_most: int | None = None,
) -> ReadEvents:
    """Call `see(event, effective time)` for every event whose record is not older than `since` (ms UTC); `progress`
    is told now and then how many there were.

    Of more than `at_most` records (None: `MAX_RECORDS`) only the newest of each partition are read. Records that cannot be
    decoded are passed over: they are dead letters already.

    Raises:
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    of_each = (at_most or MAX_RECORDS) // len(partitions)
    first, ends = await log_at(brokers, partitions, since), await log_end(brokers, partitions)
    start = {tp: max(first[tp], ends[tp] - of_each) for tp in partitions}
    raised = {tp for tp in partitions if start[tp] > first[tp]}
    events, cut = 0, False
    async with aclosing(read_log(brokers, partitions, start=start, stop=ends)) as records:
        async for record in records:
            tp = TopicPartition(record.topic, record.partition)
            if tp in raised:  # its first record tells whether there was more before it
                raised.discard(tp)
                cut = cut or record.timestamp >= since
            if record.timestamp < since:
                continue
            if (event := _event(record)) is not None:
                see(event, min(event["occurred_at"] or record.timestamp, record.timestamp))
                events += 1
                if events % _TELL_EVERY == 0:
                    progress(events)
    return ReadEvents(events, cut)


def _event(record: ConsumerRecord) -> TrackedEvent | None:
    with suppress(UndecodableError):
        kind, value = decode(record.value or b"")
        if kind == "TrackedEvent":
            return cast("TrackedEvent", value)
    return None
