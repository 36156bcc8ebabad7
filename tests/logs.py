"""Topics and records for tests that need some."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete

from streams.kafka.brokers import Brokers
from streams.kafka.provision import admin_client, partition_counts
from tests.eventually import eventually


async def make_topic(brokers: Brokers, name: str, partitions: int = 1, **settings: str) -> list[TopicPartition]:
    """Create a topic; `settings` are Kafka's, with `_` for `.`. Returns its partitions."""
    configs = {key.replace("_", "."): value for key, value in settings.items()}
    async with admin_client(brokers) as admin:
        response = await admin.create_topics([NewTopic(name, partitions, -1, {}, configs)])
        assert [code for _, code, _ in response.topic_errors] == [0], response

        async def known() -> bool:
            return (await partition_counts(admin)).get(name) == partitions

        await eventually(known)  # the answer may come before the broker's metadata knows of it
    return [TopicPartition(name, number) for number in range(partitions)]


@asynccontextmanager
async def producer_of(brokers: Brokers, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**brokers.client_arguments(), acks="all", **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_batch(producer: AIOKafkaProducer, tp: TopicPartition, values: Sequence[bytes], key: bytes = b"k") -> int:
    """Send the values as one batch; its base offset."""
    batch = producer.create_batch()
    for value in values:
        assert batch.append(key=key, value=value, timestamp=None) is not None
    metadata = await (await producer.send_batch(batch, tp.topic, partition=tp.partition))
    base: int = metadata.offset
    return base


def delete_after_look(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, before: Mapping[TopicPartition, int]
) -> None:
    """As retention may: the records before these offsets go once `module` has asked where the logs begin."""
    look = module.log_start

    async def log_start(brokers: Brokers, partitions: Any) -> Any:
        found = await look(brokers, partitions)
        monkeypatch.setattr(module, "log_start", look)
        async with admin_client(brokers) as admin:
            await admin.delete_records({tp: RecordsToDelete(offset) for tp, offset in before.items()})
        return found

    monkeypatch.setattr(module, "log_start", log_start)
