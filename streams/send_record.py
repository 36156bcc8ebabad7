"""Writes one record, acknowledged by all brokers that must have it."""

from aiokafka import AIOKafkaProducer, TopicPartition


async def send_record(
    bootstrap_servers: str, tp: TopicPartition, key: bytes, value: bytes, *, timestamp_ms: int
) -> int:
    """The offset it got.

    Raises:
        aiokafka.errors.KafkaError: the broker did not take it.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    await producer.start()
    try:
        metadata = await producer.send_and_wait(
            tp.topic, value, key=key, partition=tp.partition, timestamp_ms=timestamp_ms
        )
    finally:
        await producer.stop()
    offset: int = metadata.offset
    return offset
