"""The epoch with which the log of a partition begins: a log that was made anew begins with a later one."""

from collections.abc import Collection
from contextlib import aclosing

from aiokafka import TopicPartition

from schemas.codec import UndecodableError, decode, kind_of
from streams.brokers import Brokers
from streams.log_reader import log_end, log_start, read_log

FIRST_EPOCH = 1


def epoch_of(value: bytes | None) -> int:
    """Of the record at offset 0; 0: it begins no epoch."""
    try:
        return int(decode(value or b"")[1]["epoch"]) if kind_of(value or b"") == "Epoch" else 0
    except UndecodableError:
        return 0


async def first_epochs(brokers: Brokers, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    """Of those partitions that still have their first record.

    Raises:
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    starts, ends = await log_start(brokers, partitions), await log_end(brokers, partitions)
    whole = [tp for tp in partitions if starts[tp] == 0 and ends[tp] > 0]
    async with aclosing(read_log(brokers, whole, stop=dict.fromkeys(whole, 1))) as records:
        return {TopicPartition(record.topic, record.partition): epoch_of(record.value) async for record in records}
