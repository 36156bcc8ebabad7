"""How the log of a partition begins: whole, with the first epoch; cut by retention; or made anew, with a later epoch."""

from collections.abc import Mapping
from contextlib import aclosing

from aiokafka import ConsumerRecord, TopicPartition

from schemas.codec import UndecodableError, decode, kind_of
from schemas.keys import CONTROL_KEY
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import read_log

FIRST_EPOCH = 1


def epoch_of(record: ConsumerRecord) -> int:
    """The epoch that a record begins; 0: none."""
    try:
        if record.key != CONTROL_KEY or kind_of(record.value or b"") != "Epoch":
            return 0
        return int(decode(record.value)[1]["epoch"])
    except UndecodableError:
        return 0


async def first_records(brokers: Brokers, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, ConsumerRecord]:
    """The record at offset 0, of those partitions where it still is. `ends`: partition -> where its log ends.

    Raises:
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    written = [tp for tp, end in ends.items() if end > 0]
    async with aclosing(read_log(brokers, written, stop=dict.fromkeys(written, 1))) as records:
        return {TopicPartition(record.topic, record.partition): record async for record in records}


def why_not_whole(tp: TopicPartition, begin: int, epoch: int) -> str | None:
    """Why rows cannot be folded from this log alone; None: they can.

    `begin`: offset of the first record that is left. `epoch`: the latest that is known of it, from its first record or from
    its rows; one after the first follows a loss of records.
    """
    if begin > 0:
        return f"{tp.topic}/{tp.partition} begins at offset {begin}: retention has taken its first records"
    if epoch > FIRST_EPOCH:
        return f"{tp.topic}/{tp.partition} is in epoch {epoch}: it has lost records, which rows may know"
    return None
