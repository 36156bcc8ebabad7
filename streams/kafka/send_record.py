"""Writes records, each acknowledged by all brokers that must have it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer, TopicPartition

from streams.kafka.brokers import Brokers
from streams.kafka.trouble import start_client

MAX_REQUEST_BYTES = 2 << 20  # the topic's own limit decides


class RecordWriter:
    """A producer for commands."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    @classmethod
    @asynccontextmanager
    async def open(cls, brokers: Brokers) -> AsyncIterator["RecordWriter"]:
        """Raises:
        aiokafka.errors.KafkaError: the broker is away.
        """
        producer = AIOKafkaProducer(**brokers.client_arguments(), acks="all", max_request_size=MAX_REQUEST_BYTES)
        try:
            await start_client(producer, brokers)
            yield cls(producer)
        finally:
            await producer.stop()

    async def write(
        self, records: Sequence[tuple[TopicPartition, bytes, bytes | None]], timestamp_ms: int | None = None
    ) -> list[int]:
        """The offset of each. They are on their way together, in this order within a partition. `timestamp_ms` None: now.

        Raises:
            aiokafka.errors.KafkaError: the broker did not take one; some may be in the log.
        """
        sent = [
            await self._producer.send(tp.topic, value, key=key, partition=tp.partition, timestamp_ms=timestamp_ms)
            for tp, key, value in records
        ]
        return [metadata.offset for metadata in await asyncio.gather(*sent)]


async def send_record(brokers: Brokers, tp: TopicPartition, key: bytes, value: bytes, *, timestamp_ms: int) -> int:
    """The offset it got.

    Raises:
        aiokafka.errors.KafkaError: the broker did not take it.
    """
    async with RecordWriter.open(brokers) as writer:
        [offset] = await writer.write([(tp, key, value)], timestamp_ms)
    return offset
