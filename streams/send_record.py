"""Writes one record, acknowledged by all brokers that must have it."""

from aiokafka import AIOKafkaProducer, TopicPartition

from streams.broker_trouble import start_client
from streams.brokers import Brokers


async def send_record(brokers: Brokers, tp: TopicPartition, key: bytes, value: bytes, *, timestamp_ms: int) -> int:
    """The offset it got.

    Raises:
        aiokafka.errors.KafkaError: the broker did not take it.
    """
    producer = AIOKafkaProducer(**brokers.client_arguments(), acks="all")
    await start_client(producer, brokers)
    try:
        metadata = await producer.send_and_wait(
            tp.topic, value, key=key, partition=tp.partition, timestamp_ms=timestamp_ms
        )
    finally:
        await producer.stop()
    offset: int = metadata.offset
    return offset
